// E2M1, the 4-bit float of NVFP4 and MXFP4: sign << 3 | index of {0, .5, 1, 1.5, 2, 3, 4, 6}.
//
// Thread-safety: pure functions, without branches so that loops over them vectorise.
#pragma once

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
/// zero. `value` is not a NaN.
inline float e2m1_round(float value) {
  const float magnitude = std::fabs(value);
  // The spacing is 0.5 below 2, 1 up to 4 and 2 above; a power of two, so scaling is exact and ties
  // to the even multiple are ties to the even index.
  const float step = magnitude < 2.0F ? 0.5F : (magnitude < 4.0F ? 1.0F : 2.0F);
  const float inverse = magnitude < 2.0F ? 2.0F : (magnitude < 4.0F ? 1.0F : 0.5F);
  const float rounded = std::nearbyint(magnitude * inverse) * step;
  const float clipped = rounded < kE2m1Max ? rounded : kE2m1Max;
  return std::copysign(clipped, value) + 0.0F;  // -0 + 0 is +0
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
