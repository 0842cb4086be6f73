// What the pipeline tells about its work: the plain form of rotor.v1's reports.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/plan.h"
#include "worker/pipeline/phase_timer.h"

namespace rotor::worker {

struct ModuleResult {
  std::string name;
  double relative_error = 0.0;      // tr((W'-Q) H (W'-Q)^T) / tr(W' H W'^T), H undamped
  double rtn_relative_error = 0.0;  // of rounding to nearest with the same scales
  double damping = 0.0;             // that was used; 0 for round-to-nearest
  int rotation = 0;
  Method method = Method::kRtn;  // that was used in the end
  int64_t tokens = 0;
  std::vector<FallbackNote> fallbacks;
};

struct LayerResult {
  int layer = 0;
  std::vector<ModuleResult> modules;
  PhaseTimes phases;  // of the group's first rank
  double seconds = 0.0;
  int ranks = 1;
};

}  // namespace rotor::worker
