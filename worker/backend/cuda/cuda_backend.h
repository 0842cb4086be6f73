// The Backend on one CUDA device: activations in BF16, sums in F32, everything in order on one
// stream.
//
// Precision: forward and Hessian products take BF16 and sum in F32; the factorization is F32; the
// products inside the solve, the refinement and the error measures round their factors to TF32
// (kernels/solve.h says why that costs nothing).
// Determinism: no atomics on floating-point numbers, no split sums in products, and row ranges of a
// weight give the same bits however they are cut.
//
// Owns: the stream, the memory pool, the cuBLASLt handle. Thread-safety: one caller at a time; the
// device is current on the thread that created the backend. Fails: RESOURCE_EXHAUSTED for memory
// with the bytes needed and free, UNIMPLEMENTED (reason UNSUPPORTED_ON_CUDA) for shapes that
// kernels/supported.h leaves out, INTERNAL for device errors.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/memory_pool.h"
#include "kernels/stream.h"
#include "worker/backend/backend.h"
#include "worker/backend/cuda/pinned_downloads.h"

namespace rotor::worker::cuda {

/// The CUDA devices that this process sees; 0 where there is no driver.
int visible_devices();

class CudaBackend final : public Backend {
 public:
  /// Makes `device` current. `memory_limit`: bytes of its memory that this process may take, the
  /// context's own included; 0: all. Errors: FAILED_PRECONDITION (CUDA_NO_DEVICE,
  /// CUDA_UNSUPPORTED_DEVICE); INVALID_ARGUMENT (BAD_MEMORY_LIMIT) for a limit that the context
  /// alone exceeds.
  static Result<std::unique_ptr<CudaBackend>> create(int device, int64_t memory_limit = 0);
  ~CudaBackend() override;

  cudaStream_t stream() const { return stream_.get(); }
  int device() const { return device_; }

  DeviceInfo info() const override;
  DType activation_dtype() const override { return DType::kBf16; }
  int64_t row_tile() const override;

  int64_t memory_left() const override;
  bool host_is_apart() const override { return true; }
  Result<Tensor> allocate(DType dtype, int64_t rows, int64_t cols) override;
  Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes) override;
  Status upload(const void* src, size_t bytes, const Tensor& dst) override;
  Status download(const Tensor& src, void* dst, size_t bytes) override;
  Result<std::unique_ptr<Download>> begin_download(const Tensor& src) override;
  Status copy(const Tensor& src, const Tensor& dst) override;
  Status synchronize() override;
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
  /// A stream and handles of its own, with memory from `pool`, which is the device's current one.
  static Result<std::unique_ptr<CudaBackend>> create_on(int device,
                                                        std::shared_ptr<kernels::MemoryPool> pool);
  CudaBackend(int device, std::shared_ptr<kernels::MemoryPool> pool, kernels::Stream stream,
              kernels::Gemm gemm);

  /// The tensor in `dtype`: itself, or a converted copy.
  Result<Tensor> converted(const Tensor& tensor, DType dtype);
  /// out [>= count, vocabulary] F32: the logits of rows [begin, begin + count), `head` being that
  /// of `of` in BF16.
  Status make_logits(const Logits& of, const Tensor& head, int64_t begin, int64_t count,
                     const Tensor& out);
  /// Those of the rows that predict a token: `next` is not negative. Waits.
  Result<std::vector<double>> predicted(const Tensor& losses, std::span<const int32_t> next);
  /// A factor with its columns in order and its triangle still to be filled; kFailed where all are
  /// dead.
  struct OrderedFactor {
    Factor factor;
    std::vector<float> diagonal;  // of the Hessian by place; the mean for what is dead
    double mean = 0.0;            // of what is live
  };
  Result<OrderedFactor> order_factor(const Tensor& hessian, const FactorOptions& options);
  /// One step of the damping ladder: false where the Hessian is not definite even so. Collective.
  Result<bool> fill_factor(const Tensor& hessian, const OrderedFactor& ordered, double damping,
                           Communicator& comm);
  /// Of a square F32 matrix, on the host; waits.
  Result<std::vector<float>> diagonal(const Tensor& matrix);

  int device_;
  std::shared_ptr<kernels::MemoryPool> pool_;
  kernels::Stream stream_;
  kernels::Gemm gemm_;
  PinnedDownloads downloads_;
  std::vector<std::unique_ptr<CudaBackend>> side_;  // for the pieces of for_each
};

}  // namespace rotor::worker::cuda
