// How partial Hessians are summed so that the result is the same bits for any number of ranks: each
// calibration micro-batch belongs to a lane, a lane sums its micro-batches in order, and lanes are
// combined in one fixed binary tree. Ranks own runs of lanes; which rank adds two nodes never
// changes what is added.
//
// Rejected: an all-reduce (its order follows the number of ranks), sums in F64 (twice the memory,
// and the GPU kernels' sums would still depend on the order).
//
// Thread-safety: plain functions; sum_lanes is collective.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "quant/base/status.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/pipeline/phase_timer.h"

namespace rotor::worker {

/// [begin, end) of `total` things for part `index` of `parts`, as equal as whole things allow.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};
Range share(int64_t total, int64_t parts, int64_t index);

/// Adds the micro-batches of one lane to zeroed sums, one for each asked for.
using AccumulateLane = std::function<Status(int64_t lane, const std::vector<Tensor>& hessians)>;

/// A Hessian to sum, or a row [1, width] beside one.
struct HessianSum {
  int64_t width = 0;
  int owner = kEveryRank;  // who gets it
  bool is_row = false;
  static constexpr int kEveryRank = -1;

  int64_t rows() const { return is_row ? 1 : width; }
};

/// Sums Hessians over all lanes [0, lanes); unfinished: lower triangle, undivided. Those of another
/// owner are empty. `accumulate` is called for this rank's lanes (share(lanes, size, rank)) in
/// ascending order; lanes for which has_work gives false count as zero and are not touched. Of a
/// Hessian for every rank each rank adds up a share of the rows of what the ranks summed alone, and
/// the shares are gathered: so it crosses each rank's link twice, however many ranks there are. An
/// owner adds up all rows, and they cross once. Memory: at most log2(lanes) + 3 sets of Hessians.
/// `times` takes what passes between ranks as "exchange".
Result<std::vector<Tensor>> sum_lanes(Backend& backend, Communicator& comm, int64_t lanes,
                                      const std::vector<HessianSum>& sums,
                                      const std::function<bool(int64_t)>& has_work,
                                      const AccumulateLane& accumulate, PhaseTimes& times);

}  // namespace rotor::worker
