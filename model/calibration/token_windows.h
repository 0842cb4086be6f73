// A set of token windows: what a model is calibrated on and evaluated on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rotor {

/// Windows of `seq_len` ids, one after another. A plain value.
struct TokenWindows {
  int64_t seq_len = 0;
  std::vector<int32_t> ids;  // [sequences, seq_len]

  int64_t sequences() const { return seq_len > 0 ? static_cast<int64_t>(ids.size()) / seq_len : 0; }
  /// Window i, 0 <= i < sequences().
  std::span<const int32_t> window(int64_t i) const {
    return {ids.data() + i * seq_len, static_cast<size_t>(seq_len)};
  }
  /// SHA-256 in hex over seq_len (8 bytes) and the ids (4 bytes each), little-endian: equal where,
  /// and only where, the model sees the same tokens.
  std::string digest() const;
};

/// Which of `available` windows a job with `seed` uses: the first `wanted` in order for seed 0,
/// else the first `wanted` of a permutation that depends on seed and available alone, on every
/// platform: Fisher-Yates from the front, place i swapped with i + (r mod (available - i)), r from
/// splitmix64 started at seed. Needs 0 <= wanted <= available.
std::vector<int64_t> choose_windows(int64_t available, int64_t wanted, uint64_t seed);

}  // namespace rotor
