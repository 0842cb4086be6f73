// The part of routing that every backend does on the host: from the experts that each token chose
// to the order of their rows.
//
// Thread-safety: pure function. Cost: two passes over T * k numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rotor::worker {

/// Routing before it is on a device (worker/backend/backend.h).
struct RowOrder {
  std::vector<int64_t> begin;   // [experts + 1]
  std::vector<int32_t> tokens;  // [T * k]
  std::vector<int32_t> places;  // [T * k], row-major [T, k]
};

/// `choices` [T, k]: the experts of each token, ascending within it, each below `experts`.
RowOrder order_rows(std::span<const int32_t> choices, int64_t per_token, int64_t experts);

}  // namespace rotor::worker
