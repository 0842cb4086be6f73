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
  first_ = row_begin_[rank];
  mine_ = row_begin_[rank + 1] - first_;
}

Result<float> ModuleSolver::rotate(const Tensor& weight) {
  if (mine_ == 0) {
    return 0.0F;
  }
  const Tensor rows = weight.row_range(first_, mine_);
  ROTOR_ASSIGN_OR_RETURN(rotated_, backend_.allocate(DType::kF32, mine_, cols_));
  ROTOR_RETURN_IF_ERROR(backend_.rotate(rows, std::max(plan_.rotation, 1), rotated_));
  ROTOR_ASSIGN_OR_RETURN(const float largest, backend_.max_abs(rotated_));
  if (!std::isfinite(largest)) {
    return invalid_argument("the weights of " + plan_.linear.name + " are not finite (" +
                            std::to_string(largest) +
                            "): fetch the model again, or mend it where it was made")
        .with_reason("NOT_FINITE")
        .with_detail("module", plan_.linear.name);
  }
  return largest;
}

Status ModuleSolver::fit_noisy_inputs(const Tensor& noise, const Factor& factor) {
  return mine_ == 0 ? Status() : backend_.fit_noisy_inputs(rotated_, noise, factor);
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

Result<RowsToSolve> ModuleSolver::begin_codes() {
  ROTOR_ASSIGN_OR_RETURN(codes_, backend_.allocate(DType::kU8, rows_, cols_ / 2));
  return RowsToSolve{rotated_, scales_, my_codes()};
}

Status ModuleSolver::round() {
  return mine_ == 0 ? Status() : backend_.round_to_nearest(rotated_, scheme_, scales_, my_codes());
}

Status ModuleSolver::measure(const Tensor& hessian) {
  if (mine_ == 0) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor values, backend_.allocate(DType::kF32, mine_, cols_));
  ROTOR_RETURN_IF_ERROR(backend_.dequantize(my_codes(), scheme_, scales_.effective, values));
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

Status ModuleSolver::widen_to_all_rows() {
  Scales all;
  const int64_t row_scales = groups() * dtype_size(scheme_.scale_dtype);
  ROTOR_ASSIGN_OR_RETURN(all.stored, backend_.allocate(DType::kU8, rows_, row_scales));
  ROTOR_ASSIGN_OR_RETURN(all.effective, backend_.allocate(DType::kF32, rows_, groups()));
  if (mine_ > 0) {
    ROTOR_RETURN_IF_ERROR(backend_.copy(scales_.stored, all.stored.row_range(first_, mine_)));
    ROTOR_RETURN_IF_ERROR(backend_.copy(scales_.effective, all.effective.row_range(first_, mine_)));
  }
  scales_ = std::move(all);
  return {};
}

Result<std::vector<double>> ModuleSolver::gather_errors() {
  const std::string mine(reinterpret_cast<const char*>(errors_.data()),
                         errors_.size() * sizeof(double));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> all, comm_.all_gather(mine));
  std::vector<double> errors(static_cast<size_t>(rows_) * kErrorsPerRow);
  size_t at = 0;
  for (const std::string& of_rank : all) {
    if (!of_rank.empty()) {
      std::memcpy(errors.data() + at, of_rank.data(), of_rank.size());
    }
    at += of_rank.size() / sizeof(double);
  }
  return errors;
}

Status ModuleSolver::gather(ModuleResult* result) {
  rotated_ = Tensor();
  if (comm_.size() > 1) {
    ROTOR_RETURN_IF_ERROR(comm_.agree(widen_to_all_rows()));
    ROTOR_RETURN_IF_ERROR(comm_.all_gather_rows(codes_, row_begin_));
    ROTOR_RETURN_IF_ERROR(comm_.all_gather_rows(scales_.stored, row_begin_));
    ROTOR_RETURN_IF_ERROR(comm_.all_gather_rows(scales_.effective, row_begin_));
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<double> errors, gather_errors());
  double solved = 0.0;
  double nearest = 0.0;
  double whole = 0.0;
  for (size_t at = 0; at < errors.size(); at += kErrorsPerRow) {
    solved += errors[at];
    nearest += errors[at + 1];
    whole += errors[at + 2];
  }
  result->relative_error = whole > 0.0 ? solved / whole : 0.0;
  result->rtn_relative_error = whole > 0.0 ? nearest / whole : 0.0;
  return {};
}

Result<Tensor> ModuleSolver::dequantized() {
  ROTOR_ASSIGN_OR_RETURN(Tensor weight,
                         backend_.allocate(backend_.activation_dtype(), rows_, cols_));
  ROTOR_RETURN_IF_ERROR(backend_.dequantize(codes_, scheme_, scales_.effective, weight));
  return weight;
}

Result<PendingMatrix> ModuleSolver::begin_download() {
  PendingMatrix pending;
  pending.matrix.scheme = scheme_;
  pending.matrix.rows = rows_;
  pending.matrix.cols = cols_;
  pending.matrix.global_scale = global_scale_;
  pending.code_bytes = codes_.bytes();
  pending.scale_bytes = scales_.stored.bytes();
  ROTOR_ASSIGN_OR_RETURN(pending.codes, backend_.begin_download(codes_));
  ROTOR_ASSIGN_OR_RETURN(pending.scales, backend_.begin_download(scales_.stored));
  return pending;
}

double ModuleSolver::rotate_bytes() const {
  // BF16 in, F32 out, and once more for the largest magnitude.
  return static_cast<double>(mine_ * cols_) * 10.0;
}

double ModuleSolver::scale_bytes() const {
  return static_cast<double>(mine_ * cols_ * 4 + mine_ * groups() * 5);
}

double ModuleSolver::solve_flops(int refine_passes) const {
  // A row's columns are each corrected by all before them: K^2/2 multiply-adds; a refinement takes
  // K^2 to begin with and in every pass.
  const double square = static_cast<double>(mine_) * static_cast<double>(cols_ * cols_);
  return square * (1.0 + (refine_passes > 0 ? 2.0 * (1 + refine_passes) : 0.0));
}

double ModuleSolver::measure_flops() const {
  constexpr double kForms = kErrorsPerRow;
  return kForms * 2.0 * static_cast<double>(mine_) * static_cast<double>(cols_ * cols_);
}

double ModuleSolver::dequantize_bytes() const {
  const auto out = static_cast<double>(dtype_size(backend_.activation_dtype()));
  return static_cast<double>(rows_ * cols_) * (0.5 + out) +
         static_cast<double>(rows_ * groups() * 4);
}

double ModuleSolver::stored_bytes() const {
  return static_cast<double>(rows_ * cols_ / 2 +
                             rows_ * groups() * dtype_size(scheme_.scale_dtype));
}

}  // namespace rotor::worker
