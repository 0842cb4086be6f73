// BF16 and F16 as bit patterns, to and from F32.
//
// Thread-safety: pure functions. Conversions to F32 are exact; conversions from F32 round to
// nearest, ties to even, overflow to infinity, and keep NaN a (quiet) NaN. Subnormals are kept.
#pragma once

#include <bit>
#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

inline float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const uint32_t quiet_nan = (bits >> 16) | 0x40U;  // rounding could carry a NaN into infinity
  return static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet_nan : rounded);
}

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);

/// Widens `count` elements of BF16, F16 or F32 at `src` to F32. Any other dtype is
/// INVALID_ARGUMENT. `src` and `dst` may only overlap if they are the same F32 array.
Status widen_to_f32(const void* src, DType dtype, int64_t count, float* dst);

}  // namespace rotor
