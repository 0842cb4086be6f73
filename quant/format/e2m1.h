// E2M1, the 4-bit float of NVFP4 and MXFP4: sign << 3 | index of {0, .5, 1, 1.5, 2, 3, 4, 6}.
//
// Thread-safety: pure functions, without branches so that loops over them vectorise.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace rotor {

inline constexpr float kE2m1Max = 6.0F;

/// By code. Code 8 decodes to -0, as the hardware does; it is never written.
inline constexpr std::array<float, 16> kE2m1Values{0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,
                                                   4.0F,  6.0F,  -0.0F, -0.5F, -1.0F, -1.5F,
                                                   -2.0F, -3.0F, -4.0F, -6.0F};

/// The nearest E2M1 value, ties to the even index, saturating at +-6; +0 for whatever rounds to
/// zero. `value` is not a NaN (one gives 6 with its sign).
inline float e2m1_round(float value) {
  // Magnitudes order like their bits, and integer minima and maxima vectorise under any flags.
  constexpr uint32_t kMagnitudeBits = 0x7FFFFFFFU;
  constexpr uint32_t kExponentBits = 0x7F800000U;
  const uint32_t bits =
      std::min(std::bit_cast<uint32_t>(value) & kMagnitudeBits, std::bit_cast<uint32_t>(kE2m1Max));
  const float magnitude = std::bit_cast<float>(bits);
  // p is the power of two at or below it, 1 at least: E2M1's spacing there is p/2. Around 1.5 *
  // 2^22 p the spacing of F32 is p/2 too, so the additions round, ties to even.
  const float p =
      std::bit_cast<float>(std::max(bits & kExponentBits, std::bit_cast<uint32_t>(1.0F)));
  const float shift = p * 0x1.8p22F;
  const float rounded = (magnitude + shift) - shift;
  return std::copysign(rounded, value) + 0.0F;  // -0 + 0 is +0
}

/// The code of an E2M1 value as e2m1_round gives it.
inline uint8_t e2m1_code(float e2m1_value) {
  const auto bits = std::bit_cast<uint32_t>(e2m1_value);
  const uint32_t magnitude_bits = bits & 0x7FFFFFFFU;
  // From 1 up the index is exponent and first mantissa bit; 0.5 alone is subnormal in E2M1.
  constexpr uint32_t kOneBits = 0x3F800000U;
  const uint32_t normal = (magnitude_bits >> 22) - 252U;
  const uint32_t subnormal = magnitude_bits == 0U ? 0U : 1U;
  const uint32_t index = magnitude_bits >= kOneBits ? normal : subnormal;
  return static_cast<uint8_t>(index | ((bits >> 28) & 8U));
}

/// The code of the nearest value.
inline uint8_t e2m1_encode(float value) {
  return e2m1_code(e2m1_round(value));
}

inline float e2m1_decode(uint8_t code) {
  return kE2m1Values[code & 15U];
}

}  // namespace rotor
