// How many experts of a stage are worked on together, so that their Hessians fit a fixed budget of
// memory. From the plan alone: the same for any number of ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/pipeline/lane_tree.h"

namespace rotor::worker {

/// Experts [begin, end) that are worked on together.
using Wave = Range;

/// Waves of `experts` experts with Hessians of `width`, summed over `lanes` lanes: as equal as
/// whole experts allow, each within the budget or of one expert.
std::vector<Wave> cut_waves(int64_t experts, int64_t width, int64_t lanes);

}  // namespace rotor::worker
