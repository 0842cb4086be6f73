#include "worker/pipeline/module_solver.h"

#include <cmath>
#include <cstring>
#include <string>

#include "worker/pipeline/lane_tree.h"

namespace rotor::worker {
namespace {

constexpr size_t kErrorsPerRow = 3;

/// Row ranges of the ranks: whole row tiles, as equal as they allow.
std::vector<int64_t> split_rows(int64_t rows, int64_t tile, int ranks) {
  const int64_t tiles = (rows + tile - 1) / tile;
  std::vector<int64_t> begin;
  for (int rank = 0; rank <= ranks; ++rank) {
    const int64_t first = rank == ranks ? tiles : share(tiles, ranks, rank).begin;
    begin.push_back(std::min(rows, first * tile));
  }
  return begin;
}

}  // namespace

ModuleSolver::ModuleSolver(Backend& backend, Communicator& comm, const QuantScheme& scheme,
                           const ModulePlan& plan)
    : backend_(backend),
      comm_(comm),
      scheme_(scheme),
      plan_(plan),
      rows_(plan.linear.out_features),
      cols_(plan.linear.in_features),
      row_begin_(split_rows(rows_, backend.row_tile(), comm.size())) {
  const auto rank = static_cast<size_t>(comm.rank());
  mine_ = row_begin_[rank + 1] - row_begin_[rank];
}

Result<float> ModuleSolver::rotate(const Tensor& weight) {
  if (mine_ == 0) {
    return 0.0F;
  }
  const Tensor rows = weight.row_range(row_begin_[static_cast<size_t>(comm_.rank())], mine_);
  ROTOR_ASSIGN_OR_RETURN(rotated_, backend_.allocate(DType::kF32, mine_, cols_));
  ROTOR_RETURN_IF_ERROR(backend_.rotate(rows, std::max(plan_.rotation, 1), rotated_));
  ROTOR_ASSIGN_OR_RETURN(const float largest, backend_.max_abs(rotated_));
  if (!std::isfinite(largest)) {
    return invalid_argument("the weights of " + plan_.linear.name + " are not finite (" +
                            std::to_string(largest) +
                            "): mend the model, or leave the module out with --ignore '" +
                            plan_.linear.name + "'")
        .with_reason("NOT_FINITE")
        .with_detail("module", plan_.linear.name);
  }
  return largest;
}

Status ModuleSolver::search_scales(float global_scale, const Factor* factor) {
  global_scale_ = global_scale;
  if (mine_ == 0) {
    return {};
  }
  Tensor costs;
  if (factor != nullptr) {
    ROTOR_ASSIGN_OR_RETURN(costs, backend_.solve_costs(*factor));
  }
  ROTOR_ASSIGN_OR_RETURN(
      scales_, backend_.search_scales(rotated_, scheme_, global_scale, plan_.scale_search, costs));
  return {};
}

Status ModuleSolver::solve(const Factor* factor, const Tensor& hessian, int refine_passes) {
  if (mine_ == 0) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(codes_, backend_.allocate(DType::kU8, mine_, cols_ / 2));
  if (factor == nullptr) {
    return backend_.round_to_nearest(rotated_, scheme_, scales_, codes_);
  }
  ROTOR_RETURN_IF_ERROR(backend_.solve(rotated_, scheme_, scales_, *factor, codes_));
  if (refine_passes == 0 || factor->kind != FactorKind::kGptq) {
    return {};
  }
  return backend_.refine(rotated_, scheme_, scales_, hessian, factor->damping, refine_passes,
                         codes_);
}

Status ModuleSolver::measure(const Tensor& hessian) {
  if (mine_ == 0) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor values, backend_.allocate(DType::kF32, mine_, cols_));
  ROTOR_RETURN_IF_ERROR(backend_.dequantize(codes_, scheme_, scales_.effective, values));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<double> solved,
                         backend_.quadratic_error(rotated_, values, hessian));
  ROTOR_ASSIGN_OR_RETURN(Tensor rounded, backend_.allocate(DType::kU8, mine_, cols_ / 2));
  ROTOR_RETURN_IF_ERROR(backend_.round_to_nearest(rotated_, scheme_, scales_, rounded));
  ROTOR_RETURN_IF_ERROR(backend_.dequantize(rounded, scheme_, scales_.effective, values));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<double> nearest,
                         backend_.quadratic_error(rotated_, values, hessian));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<double> whole,
                         backend_.quadratic_error(rotated_, Tensor(), hessian));
  errors_.clear();
  for (size_t row = 0; row < solved.size(); ++row) {
    errors_.insert(errors_.end(), {solved[row], nearest[row], whole[row]});
  }
  return {};
}

Result<QuantizedMatrix> ModuleSolver::gather(ModuleResult* result) {
  QuantizedMatrix matrix;
  matrix.scheme = scheme_;
  matrix.rows = rows_;
  matrix.cols = cols_;
  matrix.global_scale = global_scale_;
  const auto row_codes = static_cast<size_t>(cols_ / 2);
  const auto row_scales = static_cast<size_t>(matrix.groups() * dtype_size(scheme_.scale_dtype));
  const auto rows = static_cast<size_t>(rows_);
  matrix.codes.resize(rows * row_codes);
  matrix.scales.resize(rows * row_scales);
  std::vector<double> errors(rows * kErrorsPerRow);

  const auto first = static_cast<size_t>(row_begin_[static_cast<size_t>(comm_.rank())]);
  const auto count = static_cast<size_t>(mine_);
  Status status;
  if (mine_ > 0) {
    status = backend_.download(codes_, matrix.codes.data() + first * row_codes, count * row_codes);
    if (status.ok()) {
      status = backend_.download(scales_.stored, matrix.scales.data() + first * row_scales,
                                 count * row_scales);
    }
    std::memcpy(errors.data() + first * kErrorsPerRow, errors_.data(),
                count * kErrorsPerRow * sizeof(double));
  }
  ROTOR_RETURN_IF_ERROR(comm_.agree(status));
  for (int rank = 0; rank < comm_.size() && comm_.size() > 1; ++rank) {
    const auto begin = static_cast<size_t>(row_begin_[static_cast<size_t>(rank)]);
    const size_t n = static_cast<size_t>(row_begin_[static_cast<size_t>(rank) + 1]) - begin;
    ROTOR_RETURN_IF_ERROR(
        comm_.broadcast_host(matrix.codes.data() + begin * row_codes, n * row_codes, rank));
    ROTOR_RETURN_IF_ERROR(
        comm_.broadcast_host(matrix.scales.data() + begin * row_scales, n * row_scales, rank));
    ROTOR_RETURN_IF_ERROR(comm_.broadcast_host(errors.data() + begin * kErrorsPerRow,
                                               n * kErrorsPerRow * sizeof(double), rank));
  }

  double solved = 0.0;
  double nearest = 0.0;
  double whole = 0.0;
  for (size_t row = 0; row < rows; ++row) {
    solved += errors[row * kErrorsPerRow];
    nearest += errors[row * kErrorsPerRow + 1];
    whole += errors[row * kErrorsPerRow + 2];
  }
  result->relative_error = whole > 0.0 ? solved / whole : 0.0;
  result->rtn_relative_error = whole > 0.0 ? nearest / whole : 0.0;
  return matrix;
}

}  // namespace rotor::worker
