// The value of --override: settings of the modules that match a pattern. Thread-safe.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "rotor/v1/job.pb.h"

namespace rotor::cli {

/// PATTERN:key=value[,key=value...], e.g. "*.down_proj:method=gptq,damping=0.05". The keys are the
/// fields of rotor.v1.Override, as flags are written; their values are those of the job's settings
/// of that name. INVALID_ARGUMENT names what is wrong.
Result<v1::Override> parse_override(const std::string& text);

}  // namespace rotor::cli
