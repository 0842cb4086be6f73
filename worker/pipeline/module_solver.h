// One weight of a stage on this rank: its rotated rows, its scales, its codes, its errors. The
// steps are separate because the group has to agree on something between them.
//
// Not collective but for gather(). Thread-safety: main thread.
#pragma once

#include <vector>

#include "model/plan.h"
#include "quant/quantized_matrix.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
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
  Status search_scales(float global_scale, const Factor* factor);
  /// `factor` null: round to nearest. Else GPTQ, then refine_passes of descent against H' [K, K].
  Status solve(const Factor* factor, const Tensor& hessian, int refine_passes);
  /// Errors of this rank's rows against H' [K, K]; reads what solve() made.
  Status measure(const Tensor& hessian);
  /// Collective: every rank gets all codes, scales and errors.
  Result<QuantizedMatrix> gather(ModuleResult* result);

 private:
  Backend& backend_;
  Communicator& comm_;
  QuantScheme scheme_;
  const ModulePlan& plan_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<int64_t> row_begin_;  // by rank, and the end
  int64_t mine_ = 0;                // rows of this rank
  Tensor rotated_;
  Scales scales_;
  Tensor codes_;
  float global_scale_ = 1.0F;
  std::vector<double> errors_;  // by row of this rank: W'-Q, W'-round, W'
};

}  // namespace rotor::worker
