// What a crowded coordinator answers, and how its callers take it: they try again, and nothing is
// counted against a job.
#pragma once

#include <chrono>

#include "quant/base/status.h"

namespace rotor {

/// How long a worker waits for its turn, and between two tries.
inline constexpr std::chrono::minutes kBusyTime{10};
inline constexpr std::chrono::milliseconds kBusyPause{500};

/// Refused for its crowd alone: TOO_MANY_CALLS, or what gRPC says where it has no thread or memory
/// left for a call (it gives no reason).
inline bool is_busy(const Status& status) {
  return status.code() == Code::kResourceExhausted &&
         (status.reason() == "TOO_MANY_CALLS" || status.reason().empty());
}

}  // namespace rotor
