// E4M3 (OCP, finite only: no infinities, 0x7F and 0xFF are NaN), the stored scale of NVFP4.
//
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <cstdint>

namespace rotor {

inline constexpr float kE4m3Max = 448.0F;
inline constexpr uint8_t kE4m3MaxByte = 0x7E;
/// 2^-9, the smallest positive value.
inline constexpr uint8_t kE4m3MinByte = 0x01;

/// By byte. NaN for 0x7F and 0xFF.
extern const std::array<float, 256> kE4m3Values;

inline float e4m3_decode(uint8_t byte) {
  return kE4m3Values[byte];
}

/// Round to nearest, ties to the even mantissa, saturating at +-448 (infinities too); NaN stays
/// NaN.
uint8_t e4m3_encode(float value);

}  // namespace rotor
