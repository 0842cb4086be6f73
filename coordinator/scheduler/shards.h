// Which layers the next idle group gets: a pure function of what is committed and what is leased.
// Cutting decides who computes a layer, never its bytes, so the rules may be simple:
//
// - PROPAGATE_QUANTIZED: one lease at a time, from the first open layer to the end of its run of
//   open layers. Where only the evaluation is open, an empty shard at the model's end.
// - PROPAGATE_ORIGINAL: the layers that are open and not leased are shared out evenly: each idle
//   group takes the first run of them, at most ceil(open layers / idle groups).
// - A group that finds nothing left takes the second half of the longest running lease with two or
//   more open layers. Its holder is told (Revoke) when it has committed the last layer it keeps.
//
// Thread-safety: a pure function. Cost: linear in the number of layers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/plan.h"

namespace rotor::coordinator {

struct HeldShard {
  int64_t fence = 0;
  int32_t first = 0;
  int32_t end = 0;
};

struct ShardState {
  Propagate propagate = Propagate::kQuantized;
  std::vector<bool> committed;  // by layer
  std::vector<HeldShard> held;
  bool evaluation_open = false;  // asked for and not measured yet
};

struct ShardCut {
  int32_t first = 0;
  int32_t end = 0;
  bool evaluate = false;
  int64_t shrunk_fence = 0;  // the lease that gave the layers up; 0: none
};

/// What to lease next; empty: nothing to do for another group. idle_groups >= 1.
std::optional<ShardCut> next_cut(const ShardState& state, int idle_groups);

}  // namespace rotor::coordinator
