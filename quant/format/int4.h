// INT4: q in -8..7, stored as the nibble q + 8.
//
// Thread-safety: pure functions, without branches so that loops over them vectorise.
#pragma once

#include <cmath>
#include <cstdint>

namespace rotor {

inline constexpr float kInt4Min = -8.0F;
inline constexpr float kInt4Max = 7.0F;
/// Half of the 15 steps between them: absmax / 7.5 is INT4's scale before any search.
inline constexpr float kInt4Range = 7.5F;

/// The nearest integer, ties to even, saturating at -8 and 7; never -0. `value` is not a NaN (one
/// gives -8).
inline float int4_round(float value) {
  const float rounded = std::nearbyint(value);
  const float raised = rounded > kInt4Min ? rounded : kInt4Min;
  return (raised < kInt4Max ? raised : kInt4Max) + 0.0F;
}

/// The nibble of a value as int4_round gives it.
inline uint8_t int4_code(float int4_value) {
  return static_cast<uint8_t>(static_cast<int32_t>(int4_value) + 8);
}

inline uint8_t int4_encode(float value) {
  return int4_code(int4_round(value));
}

constexpr float int4_decode(uint8_t code) {
  return static_cast<float>(code & 15) - 8.0F;
}

}  // namespace rotor
