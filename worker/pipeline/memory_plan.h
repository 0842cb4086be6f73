// Where a rank's activations lie while it quantizes, decided from sizes alone before anything is
// allocated. Results are the same bytes whatever is decided here.
//
// In this order, as far as it has to go: everything stays on the device; carries (what a stage
// leaves for those behind it) are not kept beyond a width but computed again where they are needed,
// the widest first (design.md section 4), of what the stage took or of the residual stream; at last
// the residual stream waits in host memory too, and each micro-batch of it comes to the device for
// the stage that works on it.
//
// Thread-safety: free functions. Fails: not at all. Sizes are estimates, and where even the
// smallest one is above the budget the plan is the smallest: memory itself has the last word.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "model/plan.h"
#include "worker/pipeline/micro_batches.h"

namespace rotor::worker {

struct MemoryPlan {
  /// The widest slot of a carry [features] that is kept from one stage to the next.
  int64_t kept_carry = std::numeric_limits<int64_t>::max();
  /// The residual stream waits in host memory.
  bool spill = false;
  int64_t bytes = 0;  // what a layer takes on the device at most, by estimate

  /// Whether what the stage leaves is kept.
  bool keeps(const Stage& stage) const;

  /// "carries up to 8192 features kept, residual stream on the device, 12.3 GB"
  std::string text() const;
};

/// What besides the model's shapes decides how much memory a rank needs.
struct MemoryNeeds {
  BatchCut cut;
  int ranks = 1;
  int64_t rank_tokens = 0;       // of calibration and evaluation, on this rank
  int64_t activation_bytes = 4;  // of an element
  bool host_is_apart = false;    // the device has memory of its own
};

/// The first plan, in the order above, that `budget` bytes hold; 0: no limit.
MemoryPlan plan_memory(const ModelPlan& plan, const MemoryNeeds& needs, int64_t budget);

}  // namespace rotor::worker
