// The part of the CUDA backend that makes Hessians and solves.
#include <string_view>
#include <vector>

#include "kernels/cuda_status.h"
#include "kernels/dequantize.h"
#include "kernels/gram.h"
#include "kernels/noisy_inputs.h"
#include "kernels/quadratic.h"
#include "kernels/rotate_symmetric.h"
#include "kernels/round.h"
#include "kernels/scale_search.h"
#include "kernels/scratch.h"
#include "kernels/solve.h"
#include "kernels/symmetric.h"
#include "quant/gptq/column_order.h"
#include "worker/backend/cuda/cuda_backend.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cuda {
namespace {

bool is_square(const Tensor& tensor, int64_t n) {
  return is_f32(tensor, n, n);
}

/// Of one range of rows: codes, scales and weights that belong together.
Status expect_rows(const Tensor& w, const QuantScheme& scheme, const Tensor& effective,
                   const Tensor& codes, std::string_view operation) {
  return expect(w.dtype() == DType::kF32 && codes.dtype() == DType::kU8 &&
                    codes.rows() == w.rows() && codes.cols() * 2 == w.cols() &&
                    is_f32(effective, w.rows(), w.cols() / scheme.group_size),
                operation);
}

/// Of weights with `cols` columns.
Result<kernels::SolveProblem> problem_of(std::span<const RowsToSolve> weights, int64_t cols,
                                         const QuantScheme& scheme, std::string_view operation) {
  kernels::SolveProblem problem{cols, scheme, {}};
  for (const auto& [w, scales, codes] : weights) {
    ROTOR_RETURN_IF_ERROR(expect(w.cols() == cols, operation));
    ROTOR_RETURN_IF_ERROR(expect_rows(w, scheme, scales.effective, codes, operation));
    problem.weights.push_back(
        {w.as<float>(), w.rows(), scales.effective.as<float>(), codes.as<uint8_t>()});
  }
  return problem;
}

}  // namespace

Status CudaBackend::hessian_zero(const Tensor& hessian) {
  return ROTOR_CUDA(cudaMemsetAsync(hessian.data(), 0, hessian.bytes(), stream()));
}

Status CudaBackend::hessian_accumulate(const Tensor& x, const Tensor& hessian) {
  ROTOR_RETURN_IF_ERROR(
      expect(x.dtype() == DType::kBf16 && is_square(hessian, x.cols()), "hessian_accumulate"));
  return kernels::accumulate_gram(gemm_, x.data(), x.rows(), x.cols(), hessian.as<float>(),
                                  stream());
}

Status CudaBackend::hessian_add(const Tensor& dst, const Tensor& src) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(dst, src.rows()) && is_square(src, dst.rows()), "hessian_add"));
  return kernels::add_lower(dst.as<float>(), src.as<float>(), dst.rows(), stream());
}

Status CudaBackend::hessian_finish(const Tensor& hessian, int64_t tokens) {
  ROTOR_RETURN_IF_ERROR(expect(is_square(hessian, hessian.rows()) && tokens > 0, "hessian_finish"));
  return kernels::scale_and_mirror(hessian.as<float>(), hessian.rows(), static_cast<float>(tokens),
                                   stream());
}

Status CudaBackend::rotate_hessian(const Tensor& hessian, int64_t block, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(hessian, out.rows()) && is_square(out, hessian.rows()), "rotate_hessian"));
  return kernels::rotate_symmetric(hessian.as<float>(), hessian.rows(), block, out.as<float>(),
                                   stream());
}

Status CudaBackend::add_squared_differences(const Tensor& x, const Tensor& y, const Tensor& sums) {
  ROTOR_RETURN_IF_ERROR(
      expect(has_shape(y, x.dtype(), x.rows(), x.cols()) && is_f32(sums, 1, x.cols()),
             "add_squared_differences"));
  return kernels::add_squared_differences(x.data(), y.data(), x.dtype(), x.rows(), x.cols(),
                                          sums.as<float>(), stream());
}

Status CudaBackend::hessian_add_diagonal(const Tensor& hessian, const Tensor& values) {
  const int64_t n = hessian.rows();
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(hessian, n) && is_f32(values, 1, n), "hessian_add_diagonal"));
  return kernels::add_diagonal(hessian.as<float>(), n, values.as<float>(), stream());
}

Status CudaBackend::fit_noisy_inputs(const Tensor& w, const Tensor& noise, const Factor& factor) {
  const int64_t n = factor.order.size();
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(w, w.rows(), n) && is_f32(noise, 1, n) && factor.kind != FactorKind::kFailed,
             "fit_noisy_inputs"));
  return kernels::fit_noisy_inputs(gemm_, w.as<float>(), w.rows(), n, noise.as<float>(),
                                   {factor.triangle.as<float>(), factor.order.as<int32_t>()},
                                   stream());
}

Result<std::vector<float>> CudaBackend::diagonal(const Tensor& matrix) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor device, allocate(DType::kF32, 1, matrix.rows()));
  ROTOR_RETURN_IF_ERROR(
      kernels::take_diagonal(matrix.as<float>(), matrix.rows(), device.as<float>(), stream()));
  std::vector<float> host(static_cast<size_t>(matrix.rows()));
  ROTOR_RETURN_IF_ERROR(download(device, host.data(), device.bytes()));
  return host;
}

Result<Scales> CudaBackend::search_scales(const Tensor& w, const QuantScheme& scheme,
                                          float global_scale, ScaleSearch search,
                                          const Tensor& column_costs) {
  ROTOR_RETURN_IF_ERROR(expect(w.dtype() == DType::kF32 && w.cols() % scheme.group_size == 0 &&
                                   (column_costs.empty() || is_f32(column_costs, 1, w.cols())),
                               "search_scales"));
  const int64_t groups = w.cols() / scheme.group_size;
  Scales scales;
  ROTOR_ASSIGN_OR_RETURN(scales.stored,
                         allocate(DType::kU8, w.rows(), groups * dtype_size(scheme.scale_dtype)));
  ROTOR_ASSIGN_OR_RETURN(scales.effective, allocate(DType::kF32, w.rows(), groups));
  ROTOR_RETURN_IF_ERROR(kernels::search_scales(
      w.as<float>(), w.rows(), w.cols(), scheme, global_scale, search, column_costs.as<float>(),
      scales.stored.as<uint8_t>(), scales.effective.as<float>(), stream()));
  return scales;
}

Result<Tensor> CudaBackend::solve_costs(const Factor& factor) {
  const int64_t n = factor.triangle.rows();
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(factor.triangle, n) && factor.order.size() == n, "solve_costs"));
  ROTOR_ASSIGN_OR_RETURN(Tensor costs, allocate(DType::kF32, 1, n));
  // 1 / U_ii of the inverse's factor is L's own diagonal.
  ROTOR_RETURN_IF_ERROR(kernels::square_diagonal(
      factor.triangle.as<float>(), n, factor.order.as<int32_t>(), costs.as<float>(), stream()));
  return costs;
}

Status CudaBackend::solve(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                          const Factor& factor) {
  const int64_t cols = factor.order.size();
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(factor.triangle, cols) && factor.kind != FactorKind::kFailed, "solve"));
  ROTOR_ASSIGN_OR_RETURN(const kernels::SolveProblem problem,
                         problem_of(weights, cols, scheme, "solve"));
  return kernels::solve_rows(gemm_, problem,
                             {factor.triangle.as<float>(), factor.order.as<int32_t>()}, stream());
}

Status CudaBackend::refine(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                           const Tensor& hessian, double damping, int passes) {
  const int64_t cols = hessian.cols();
  ROTOR_RETURN_IF_ERROR(expect(is_square(hessian, cols), "refine"));
  ROTOR_ASSIGN_OR_RETURN(const kernels::SolveProblem problem,
                         problem_of(weights, cols, scheme, "refine"));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<float> values, diagonal(hessian));
  return kernels::refine_rows(gemm_, problem, hessian.as<float>(),
                              static_cast<float>(damping * mean_live(values)), passes, stream());
}

Status CudaBackend::round_to_nearest(const Tensor& w, const QuantScheme& scheme,
                                     const Scales& scales, const Tensor& codes) {
  ROTOR_RETURN_IF_ERROR(expect_rows(w, scheme, scales.effective, codes, "round_to_nearest"));
  return kernels::round_rows(scheme.format, scheme.group_size, w.as<float>(),
                             scales.effective.as<float>(), w.rows(), w.cols(), codes.as<uint8_t>(),
                             stream());
}

Status CudaBackend::dequantize(const Tensor& codes, const QuantScheme& scheme,
                               const Tensor& effective_scales, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(expect(
      codes.dtype() == DType::kU8 && codes.rows() == out.rows() && codes.cols() * 2 == out.cols() &&
          is_f32(effective_scales, out.rows(), out.cols() / scheme.group_size),
      "dequantize"));
  return kernels::dequantize_codes(scheme.format, scheme.group_size, codes.as<uint8_t>(),
                                   effective_scales.as<float>(), out.rows(), out.cols(), out.data(),
                                   out.dtype(), stream());
}

Result<std::vector<double>> CudaBackend::quadratic_error(const Tensor& a, const Tensor& b,
                                                         const Tensor& hessian) {
  ROTOR_RETURN_IF_ERROR(expect(a.dtype() == DType::kF32 && is_square(hessian, a.cols()) &&
                                   (b.empty() || is_f32(b, a.rows(), a.cols())),
                               "quadratic_error"));
  ROTOR_ASSIGN_OR_RETURN(const kernels::Scratch device,
                         kernels::Scratch::allocate(a.rows() * int64_t{sizeof(double)}, stream()));
  ROTOR_RETURN_IF_ERROR(
      kernels::quadratic_rows(gemm_, a.as<float>(), b.empty() ? nullptr : b.as<float>(), a.rows(),
                              a.cols(), hessian.as<float>(), device.as<double>(), stream()));
  std::vector<double> errors(static_cast<size_t>(a.rows()));
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaMemcpyAsync(errors.data(), device.data(), errors.size() * sizeof(double),
                                 cudaMemcpyDeviceToHost, stream())));
  ROTOR_RETURN_IF_ERROR(synchronize());
  return errors;
}

}  // namespace rotor::worker::cuda
