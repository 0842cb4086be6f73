// The part of the CPU backend that runs gated delta nets and gated attention.
#include "worker/backend/cpu/cpu_backend.h"
#include "worker/backend/cpu/delta_net.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cpu {

Status CpuBackend::causal_convolution(const Tensor& x, const Tensor& weight, int64_t seq_len,
                                      const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(
      x.dtype() == DType::kF32 && fits_convolution(x, weight, seq_len, out), "causal_convolution"));
  std::vector<float> storage;
  ROTOR_ASSIGN_OR_RETURN(const float* taps, widened(weight, storage));
  cpu::causal_convolution(x.as<float>(), x.rows(), x.cols(), seq_len, taps, weight.cols(),
                          out.as<float>(), *parallel_);
  return {};
}

Status CpuBackend::delta_rule(const DeltaShape& shape, const Tensor& mixed, const Tensor& beta,
                              const Tensor& alpha, const Tensor& decay, const Tensor& step,
                              const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(out.dtype() == DType::kF32 && fits_delta(shape, mixed, beta, alpha, decay, step, out),
             "delta_rule"));
  std::vector<float> decays;
  std::vector<float> steps;
  DeltaVectors vectors{};
  ROTOR_ASSIGN_OR_RETURN(vectors.decay, widened(decay, decays));
  ROTOR_ASSIGN_OR_RETURN(vectors.step, widened(step, steps));
  cpu::delta_rule(shape, mixed.as<float>(), beta.as<float>(), alpha.as<float>(), vectors,
                  out.as<float>(), *parallel_);
  return {};
}

Status CpuBackend::sigmoid_gate(const Tensor& x, const Tensor& gate) {
  ROTOR_RETURN_IF_ERROR(expect(x.dtype() == DType::kF32 && fits_gate(x, gate), "sigmoid_gate"));
  cpu::sigmoid_gate(x.as<float>(), x.rows(), x.cols(), gate.as<float>(), gate.cols(), *parallel_);
  return {};
}

}  // namespace rotor::worker::cpu
