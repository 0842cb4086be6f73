// Durations that the environment sets. Thread-safety: as getenv.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "quant/base/status.h"

namespace rotor::worker {

/// The variable's value; nothing where it is not set. INVALID_ARGUMENT (BAD_ENVIRONMENT) for what
/// is not a whole number of seconds from 1 to 10^6.
Result<std::optional<std::chrono::seconds>> environment_seconds(const std::string& variable);

}  // namespace rotor::worker
