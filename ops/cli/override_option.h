// The value of --override: settings of the modules that match a pattern. Thread-safe.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor::cli {

/// PATTERN:key=value[,key=value...] with the keys method, scale-search, act-order (on|off) and
/// damping, e.g. "*.down_proj:method=gptq,damping=0.05". INVALID_ARGUMENT names what is wrong.
Result<v1::Override> parse_override(const std::string& text);

}  // namespace rotor::cli
