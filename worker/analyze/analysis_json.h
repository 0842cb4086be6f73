// An analysis as JSON: the keys that docs/api.md promises.
//
// Thread-safety: a pure function.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "worker/analyze/analyze.h"

namespace rotor::worker {

/// "layers", "overall", "kinds", "modules", "stages", "recommendations" and, where a layer was
/// timed, "layer_time". A number that is none (a fit of values that are all the same) is null.
nlohmann::ordered_json analysis_json(const Analysis& analysis);

}  // namespace rotor::worker
