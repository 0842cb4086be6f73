// One weight of a stage on this rank: its rotated rows, its scales, its codes, its errors. The
// steps are separate because the group has to agree on something between them.
//
// Codes are made between the steps, of several weights at once (stage_solver.h). They and the
// scales stay on the backend and are gathered there; only begin_download() brings them to the host.
// Not collective but for gather(). Thread-safety: main thread.
#pragma once

#include <vector>

#include "model/plan.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/pipeline/pending_matrix.h"
#include "worker/pipeline/results.h"

namespace rotor::worker {

class ModuleSolver {
 public:
  ModuleSolver(Backend& backend, Communicator& comm, const QuantScheme& scheme,
               const ModulePlan& plan);

  const ModulePlan& plan() const { return plan_; }

  /// Takes this rank's rows of `weight` [N, K], rotated, in F32. Gives their largest magnitude,
  /// over which the group takes the maximum for NVFP4's global scale. Error: NOT_FINITE, by name.
  Result<float> rotate(const Tensor& weight);
  /// `factor` null: for rounding to nearest, all columns alike.
  Status fit_noisy_inputs(const Tensor& noise, const Factor& factor);
  Status search_scales(float global_scale, const Factor* factor);
  /// This rank's rows, which may be none, with room for their codes: for Backend::solve.
  Result<RowsToSolve> begin_codes();
  /// Makes the codes by rounding to nearest, after begin_codes().
  Status round();
  /// Errors of this rank's rows against H' [K, K]; reads the codes.
  Status measure(const Tensor& hessian);
  /// Collective: every rank gets all codes and scales, on its backend, and the errors. Lets go of
  /// the rotated rows: none of the calls above may follow.
  Status gather(ModuleResult* result);
  /// After gather(): the dequantized weight [N, K] in the backend's activation dtype, rotated.
  Result<Tensor> dequantized();
  /// After gather(): all codes and scales on their way to host memory.
  Result<PendingMatrix> begin_download();

  /// What the steps take on this rank's rows, for the timer: operations and bytes to be moved.
  double rotate_bytes() const;
  double scale_bytes() const;
  double solve_flops(int refine_passes) const;
  double measure_flops() const;
  /// Of all rows, and of what gather() and begin_download() move.
  double dequantize_bytes() const;
  double stored_bytes() const;

 private:
  int64_t groups() const { return cols_ / scheme_.group_size; }
  Tensor my_codes() const { return codes_.row_range(first_, mine_); }
  Status widen_to_all_rows();
  Result<std::vector<double>> gather_errors();

  Backend& backend_;
  Communicator& comm_;
  QuantScheme scheme_;
  const ModulePlan& plan_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<int64_t> row_begin_;  // by rank, and the end
  int64_t first_ = 0;               // of the rows of this rank
  int64_t mine_ = 0;                // rows of this rank
  Tensor rotated_;                  // mine
  Tensor codes_;                    // of all rows; before gather() only mine are set
  Scales scales_;                   // mine; of all rows after gather()
  float global_scale_ = 1.0F;
  std::vector<double> errors_;  // by row of this rank: W'-Q, W'-round, W'
};

}  // namespace rotor::worker
