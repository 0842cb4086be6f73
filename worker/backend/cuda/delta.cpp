// The part of the CUDA backend that runs gated delta nets and gated attention.
#include "kernels/delta_net.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cuda {

Status CudaBackend::causal_convolution(const Tensor& x, const Tensor& weight, int64_t seq_len,
                                       const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(fits_convolution(x, weight, seq_len, out), "causal_convolution"));
  ROTOR_ASSIGN_OR_RETURN(const Tensor taps, converted(weight, DType::kF32));
  return kernels::causal_convolution(x.data(), x.dtype(), x.rows(), x.cols(), seq_len,
                                     taps.as<float>(), taps.cols(), out.data(), stream());
}

Status CudaBackend::delta_rule(const DeltaShape& shape, const Tensor& mixed, const Tensor& beta,
                               const Tensor& alpha, const Tensor& decay, const Tensor& step,
                               const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(fits_delta(shape, mixed, beta, alpha, decay, step, out), "delta_rule"));
  ROTOR_ASSIGN_OR_RETURN(const Tensor decays, converted(decay, DType::kF32));
  ROTOR_ASSIGN_OR_RETURN(const Tensor steps, converted(step, DType::kF32));
  const kernels::DeltaProblem problem{.sequences = shape.sequences,
                                      .seq_len = shape.seq_len,
                                      .key_heads = shape.key_heads,
                                      .value_heads = shape.value_heads,
                                      .key_dim = shape.key_dim,
                                      .value_dim = shape.value_dim,
                                      .decay = decays.as<float>(),
                                      .step = steps.as<float>()};
  return kernels::delta_rule(problem, mixed.data(), beta.data(), alpha.data(), out.dtype(),
                             out.data(), stream());
}

Status CudaBackend::sigmoid_gate(const Tensor& x, const Tensor& gate) {
  ROTOR_RETURN_IF_ERROR(expect(fits_gate(x, gate), "sigmoid_gate"));
  return kernels::sigmoid_gate(x.data(), gate.data(), x.dtype(), x.rows(), x.cols(), gate.cols(),
                               stream());
}

}  // namespace rotor::worker::cuda
