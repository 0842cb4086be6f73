// The part of the CPU backend that stands on the algorithm library: Hessians and the solve.
#include <algorithm>
#include <cstring>
#include <utility>

#include "quant/error/quadratic.h"
#include "quant/format/codes.h"
#include "quant/gptq/factor.h"
#include "quant/gptq/noisy_inputs.h"
#include "quant/gptq/refine.h"
#include "quant/gptq/solve.h"
#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"
#include "worker/backend/cpu/cpu_backend.h"
#include "worker/backend/cpu/elementwise.h"
#include "worker/backend/cpu/gemm.h"
#include "worker/backend/operands.h"

namespace rotor::worker::cpu {
namespace {

// A range of rows that begins at a tile of one of them must begin at a tile of the other.
static_assert(kSolveRowTile == kQuadraticRowTile);

bool is_square(const Tensor& tensor, int64_t n) {
  return is_f32(tensor, n, n);
}

bool codes_fit(const Tensor& codes, int64_t rows, int64_t cols) {
  return codes.dtype() == DType::kU8 && codes.rows() == rows && codes.cols() * 2 == cols;
}

bool rows_fit(const Tensor& w, const QuantScheme& scheme, const Scales& scales,
              const Tensor& codes) {
  return w.dtype() == DType::kF32 && codes_fit(codes, w.rows(), w.cols()) &&
         is_f32(scales.effective, w.rows(), w.cols() / scheme.group_size);
}

FactorKind kind_of(FactorOutcome outcome) {
  switch (outcome) {
    case FactorOutcome::kGptq:
      return FactorKind::kGptq;
    case FactorOutcome::kDiagonal:
      return FactorKind::kDiagonal;
    case FactorOutcome::kFailed:
      break;
  }
  return FactorKind::kFailed;
}

}  // namespace

int64_t CpuBackend::row_tile() const {
  return kSolveRowTile;
}

Status CpuBackend::hessian_zero(const Tensor& hessian) {
  if (hessian.bytes() > 0) {
    std::memset(hessian.data(), 0, hessian.bytes());
  }
  return {};
}

Status CpuBackend::hessian_accumulate(const Tensor& x, const Tensor& hessian) {
  ROTOR_RETURN_IF_ERROR(
      expect(x.dtype() == DType::kF32 && is_square(hessian, x.cols()), "hessian_accumulate"));
  accumulate_gram(x.as<float>(), x.rows(), x.cols(), hessian.as<float>(), *parallel_);
  return {};
}

Status CpuBackend::hessian_add(const Tensor& dst, const Tensor& src) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(dst, src.rows()) && is_square(src, dst.rows()), "hessian_add"));
  add_lower(dst.as<float>(), src.as<float>(), dst.rows(), *parallel_);
  return {};
}

Status CpuBackend::hessian_finish(const Tensor& hessian, int64_t tokens) {
  ROTOR_RETURN_IF_ERROR(expect(is_square(hessian, hessian.rows()) && tokens > 0, "hessian_finish"));
  scale_and_mirror(hessian.as<float>(), hessian.rows(), static_cast<float>(tokens), *parallel_);
  return {};
}

Status CpuBackend::rotate_hessian(const Tensor& hessian, int64_t block, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(hessian, out.rows()) && is_square(out, hessian.rows()), "rotate_hessian"));
  return rotor::rotate_hessian(hessian.as<float>(), hessian.rows(), block, out.as<float>(),
                               *parallel_);
}

Status CpuBackend::hessian_add_diagonal(const Tensor& hessian, const Tensor& values) {
  const int64_t n = hessian.rows();
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(hessian, n) && is_f32(values, 1, n), "hessian_add_diagonal"));
  for (int64_t c = 0; c < n; ++c) {
    hessian.as<float>()[c * (n + 1)] += values.as<float>()[c];
  }
  return {};
}

Status CpuBackend::fit_noisy_inputs(const Tensor& w, const Tensor& noise, const Factor& factor) {
  const int64_t n = factor.order.size();
  ROTOR_RETURN_IF_ERROR(
      expect(is_f32(w, w.rows(), n) && is_f32(noise, 1, n) && factor.kind != FactorKind::kFailed,
             "fit_noisy_inputs"));
  rotor::fit_noisy_inputs(
      w.as<float>(), w.rows(), n, noise.as<float>(),
      {factor.triangle.as<float>(), factor.order.as<int32_t>(), factor.dead.as<uint8_t>()},
      *parallel_);
  return {};
}

Result<Factor> CpuBackend::factorize(const Tensor& hessian, const FactorOptions& options,
                                     Communicator& comm, int root) {
  Result<Factor> made = make_factor(hessian, comm.rank() == root ? &options : nullptr);
  ROTOR_RETURN_IF_ERROR(comm.agree(made.status()));
  Factor factor = std::move(made).value();
  ROTOR_RETURN_IF_ERROR(comm.broadcast_host(&factor.kind, sizeof(factor.kind), root));
  ROTOR_RETURN_IF_ERROR(comm.broadcast_host(&factor.damping, sizeof(factor.damping), root));
  if (factor.kind != FactorKind::kFailed) {
    for (const Tensor& part : {factor.triangle, factor.order, factor.dead}) {
      ROTOR_RETURN_IF_ERROR(comm.broadcast(part, root));
    }
  }
  return factor;
}

Result<Factor> CpuBackend::make_factor(const Tensor& hessian, const FactorOptions* options) {
  const int64_t n = hessian.rows();
  ROTOR_RETURN_IF_ERROR(expect(is_square(hessian, n), "factorize"));
  Factor factor;
  ROTOR_ASSIGN_OR_RETURN(factor.triangle, allocate(DType::kF32, n, n));
  ROTOR_ASSIGN_OR_RETURN(factor.order, allocate(DType::kI32, 1, n));
  ROTOR_ASSIGN_OR_RETURN(factor.dead, allocate(DType::kU8, 1, n));
  if (options == nullptr) {
    return factor;
  }
  ROTOR_ASSIGN_OR_RETURN(
      const FactorReport report,
      factorize_hessian(hessian.as<float>(), n, {options->damping, options->act_order},
                        factor.triangle.as<float>(), factor.order.as<int32_t>(),
                        factor.dead.as<uint8_t>(), *parallel_));
  factor.kind = kind_of(report.outcome);
  factor.damping = report.damping;
  return factor;
}

Result<Scales> CpuBackend::search_scales(const Tensor& w, const QuantScheme& scheme,
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
  ScaleOptions options{.search = search};
  if (!column_costs.empty()) {
    options.column_weights = {column_costs.as<float>(), static_cast<size_t>(w.cols())};
  }
  ROTOR_RETURN_IF_ERROR(rotor::search_scales(w.as<float>(), w.rows(), w.cols(), scheme,
                                             global_scale, options, scales.stored.as<uint8_t>(),
                                             scales.effective.as<float>(), *parallel_));
  return scales;
}

Result<Tensor> CpuBackend::solve_costs(const Factor& factor) {
  const int64_t n = factor.triangle.rows();
  ROTOR_RETURN_IF_ERROR(
      expect(is_square(factor.triangle, n) && factor.order.size() == n, "solve_costs"));
  ROTOR_ASSIGN_OR_RETURN(Tensor costs, allocate(DType::kF32, 1, n));
  rotor::solve_costs(factor.triangle.as<float>(), factor.order.as<int32_t>(), n, costs.as<float>());
  return costs;
}

Status CpuBackend::refine(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                          const Tensor& hessian, double damping, int passes) {
  for (const auto& [w, scales, codes] : weights) {
    ROTOR_RETURN_IF_ERROR(
        expect(rows_fit(w, scheme, scales, codes) && is_square(hessian, w.cols()), "refine"));
    ROTOR_RETURN_IF_ERROR(refine_rows(w.as<float>(), w.rows(), w.cols(), scheme,
                                      scales.effective.as<float>(), hessian.as<float>(),
                                      {passes, damping}, codes.as<uint8_t>(), *parallel_));
  }
  return {};
}

Status CpuBackend::solve(std::span<const RowsToSolve> weights, const QuantScheme& scheme,
                         const Factor& factor) {
  const int64_t cols = factor.order.size();
  ROTOR_RETURN_IF_ERROR(expect(is_square(factor.triangle, cols) && factor.dead.size() == cols &&
                                   factor.kind != FactorKind::kFailed,
                               "solve"));
  const SolveFactor solve_factor{factor.triangle.as<float>(), factor.order.as<int32_t>(),
                                 factor.dead.as<uint8_t>()};
  for (const auto& [w, scales, codes] : weights) {
    ROTOR_RETURN_IF_ERROR(expect(rows_fit(w, scheme, scales, codes) && w.cols() == cols, "solve"));
    ROTOR_RETURN_IF_ERROR(solve_rows(w.as<float>(), w.rows(), cols, scheme,
                                     scales.effective.as<float>(), solve_factor,
                                     codes.as<uint8_t>(), *parallel_));
  }
  return {};
}

Status CpuBackend::round_to_nearest(const Tensor& w, const QuantScheme& scheme,
                                    const Scales& scales, const Tensor& codes) {
  ROTOR_RETURN_IF_ERROR(expect(w.dtype() == DType::kF32 && codes_fit(codes, w.rows(), w.cols()) &&
                                   is_f32(scales.effective, w.rows(), w.cols() / scheme.group_size),
                               "round_to_nearest"));
  return round_rows(w.as<float>(), w.rows(), w.cols(), scheme, scales.effective.as<float>(),
                    codes.as<uint8_t>(), *parallel_);
}

Status CpuBackend::dequantize(const Tensor& codes, const QuantScheme& scheme,
                              const Tensor& effective_scales, const Tensor& out) {
  ROTOR_RETURN_IF_ERROR(
      expect(out.dtype() == DType::kF32 && codes_fit(codes, out.rows(), out.cols()) &&
                 is_f32(effective_scales, out.rows(), out.cols() / scheme.group_size),
             "dequantize"));
  dequantize_codes(scheme, codes.as<uint8_t>(), effective_scales.as<float>(), out.rows(),
                   out.cols(), out.as<float>(), *parallel_);
  return {};
}

Result<std::vector<double>> CpuBackend::quadratic_error(const Tensor& a, const Tensor& b,
                                                        const Tensor& hessian) {
  ROTOR_RETURN_IF_ERROR(expect(a.dtype() == DType::kF32 && is_square(hessian, a.cols()) &&
                                   (b.empty() || is_f32(b, a.rows(), a.cols())),
                               "quadratic_error"));
  std::vector<double> errors(static_cast<size_t>(a.rows()));
  quadratic_rows(a.as<float>(), b.empty() ? nullptr : b.as<float>(), a.rows(), a.cols(),
                 hessian.as<float>(), errors.data(), *parallel_);
  return errors;
}

}  // namespace rotor::worker::cpu
