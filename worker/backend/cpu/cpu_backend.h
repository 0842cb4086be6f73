// The Backend on host memory, OpenBLAS and a pool of threads.
//
// Owns: the pool and its scratch. Thread-safety: one caller at a time. Fails: RESOURCE_EXHAUSTED
// for memory, INVALID_ARGUMENT for data it cannot take, INTERNAL where operands do not fit each
// other (a mistake of the caller). Everything is done when a call returns.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/backend/cpu/buffer.h"

namespace rotor::worker::cpu {

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, int64_t memory_limit);

  DeviceInfo info() const override;
  DType activation_dtype() const override { return DType::kF32; }
  int64_t row_tile() const override;

  int64_t memory_left() const override;
  bool host_is_apart() const override { return false; }
  Result<Tensor> allocate(DType dtype, int64_t rows, int64_t cols) override;
  Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes) override;
  Status upload(const void* src, size_t bytes, const Tensor& dst) override;
  Status download(const Tensor& src, void* dst, size_t bytes) override;
  Result<std::unique_ptr<Download>> begin_download(const Tensor& src) override;
  Status copy(const Tensor& src, const Tensor& dst) override;
  Status synchronize() override { return {}; }
  Status for_each(int64_t count, const std::function<Status(Backend&, int64_t)>& piece) override;

  Status embed(const Tensor& table, std::span<const int32_t> ids, float scale,
               const Tensor& out) override;
  Status rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& out) override;
  Status linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
                const Tensor& out) override;
  Status rope(const Tensor& x, const RopeShape& shape, const Tensor& cos,
              const Tensor& sin) override;
  Status attention(const AttentionShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
                   const Tensor& sinks, const Tensor& out) override;
  Status copy_columns(const Tensor& in, const ColumnRuns& from, const Tensor& out,
                      const ColumnRuns& to, int64_t heads, int64_t width) override;
  Status gated_activation(const GatedActivation& activation, const Tensor& gate, const Tensor& up,
                          const Tensor& out) override;
  Status causal_convolution(const Tensor& x, const Tensor& weight, int64_t seq_len,
                            const Tensor& out) override;
  Status delta_rule(const DeltaShape& shape, const Tensor& mixed, const Tensor& beta,
                    const Tensor& alpha, const Tensor& decay, const Tensor& step,
                    const Tensor& out) override;
  Status sigmoid_gate(const Tensor& x, const Tensor& gate) override;
  Status add(const Tensor& x, const Tensor& y, float scale) override;
  Result<Routing> route(const Tensor& x, const RouterWeights& router,
                        const RoutingRule& rule) override;
  Status gather_rows(const Tensor& x, const Tensor& rows, const Tensor& out) override;
  Status add_routed(const Tensor& x, const Tensor& y, const Routing& routing) override;
  Result<std::vector<double>> next_token_losses(const Tensor& x, const Tensor& head,
                                                std::span<const int32_t> ids, int64_t seq_len,
                                                double soft_cap) override;
  Result<ComparedPredictions> compare_predictions(const Logits& source, const Logits& other,
                                                  std::span<const int32_t> ids,
                                                  int64_t seq_len) override;

  Status rotate(const Tensor& x, int64_t block, const Tensor& out) override;
  Status quantize_activations(const Tensor& x, const ActivationQuant& quant,
                              const Tensor& out) override;
  Result<float> max_abs(const Tensor& x) override;
  Status fold_max_abs(const Tensor& x, const Tensor& running) override;

  Status hessian_zero(const Tensor& hessian) override;
  Status hessian_accumulate(const Tensor& x, const Tensor& hessian) override;
  Status hessian_add(const Tensor& dst, const Tensor& src) override;
  Status hessian_finish(const Tensor& hessian, int64_t tokens) override;
  Status rotate_hessian(const Tensor& hessian, int64_t block, const Tensor& out) override;
  Result<Factor> factorize(const Tensor& hessian, const FactorOptions& options, Communicator& comm,
                           int root) override;

  Status add_squared_differences(const Tensor& x, const Tensor& y, const Tensor& sums) override;
  Status hessian_add_diagonal(const Tensor& hessian, const Tensor& values) override;
  Status fit_noisy_inputs(const Tensor& w, const Tensor& noise, const Factor& factor) override;
  Result<Scales> search_scales(const Tensor& w, const QuantScheme& scheme, float global_scale,
                               ScaleSearch search, const Tensor& column_costs) override;
  Result<Tensor> solve_costs(const Factor& factor) override;
  Status solve(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
               const Factor& factor) override;
  Status refine(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                const Tensor& hessian, double damping, int passes) override;
  Status round_to_nearest(const Tensor& w, const QuantScheme& scheme, const Scales& scales,
                          const Tensor& codes) override;
  Status dequantize(const Tensor& codes, const QuantScheme& scheme, const Tensor& effective_scales,
                    const Tensor& out) override;
  Result<std::vector<double>> quadratic_error(const Tensor& a, const Tensor& b,
                                              const Tensor& hessian) override;

 private:
  /// A vector of weights in F32: the tensor itself, or a widened copy in `storage`.
  Result<const float*> widened(const Tensor& vector, std::vector<float>& storage);
  /// The factor, or without `options` one that another rank's values go into.
  Result<Factor> make_factor(const Tensor& hessian, const FactorOptions* options);

  std::unique_ptr<Parallel> parallel_;
  std::shared_ptr<MemoryLimit> limit_;  // null: none
  ScratchPool scratch_;
  std::mutex idle_mutex_;
  std::vector<std::unique_ptr<CpuBackend>> idle_;  // of one thread each, for the pieces of for_each
};

}  // namespace rotor::worker::cpu
