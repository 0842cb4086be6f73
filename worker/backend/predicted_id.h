// Which token each row of a micro-batch predicts: the one rule for every backend's losses.
//
// Thread-safety: a plain function.
#pragma once

#include <cstdint>
#include <span>

namespace rotor::worker {

/// The id that row `row` of a micro-batch predicts, the next one of its sequence of `seq_len`; -1
/// for the last row of each. `ids` holds whole sequences.
inline int32_t predicted_id(std::span<const int32_t> ids, int64_t seq_len, int64_t row) {
  return (row + 1) % seq_len == 0 ? -1 : ids[static_cast<size_t>(row) + 1];
}

}  // namespace rotor::worker
