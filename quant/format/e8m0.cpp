#include "quant/format/e8m0.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace rotor {
namespace {

uint8_t clamp_byte(int32_t byte) {
  return static_cast<uint8_t>(std::clamp<int32_t>(byte, 0, kE8m0MaxByte));
}

}  // namespace

float e8m0_decode(uint8_t byte) {
  if (byte == 0) {
    return 0x1p-127F;
  }
  return byte == 255 ? std::numeric_limits<float>::quiet_NaN()
                     : std::bit_cast<float>(static_cast<uint32_t>(byte) << 23);
}

uint8_t e8m0_activation_byte(float absmax) {
  const auto bits = std::bit_cast<uint32_t>(absmax);
  const auto biased_exponent = static_cast<int32_t>(bits >> 23);
  const int32_t above = (bits & 0x600000U) == 0x600000U ? 1 : 0;  // mantissa 1.75 or more
  return clamp_byte(biased_exponent - 2 + above);
}

uint8_t e8m0_floor(float absmax) {
  return clamp_byte(static_cast<int32_t>(std::bit_cast<uint32_t>(absmax) >> 23));
}

uint8_t e8m0_ceil(float value) {
  if (value <= 0x1p-127F) {
    return 0;
  }
  const auto bits = std::bit_cast<uint32_t>(value);
  const int32_t above = (bits & 0x7FFFFFU) != 0 ? 1 : 0;
  return clamp_byte(static_cast<int32_t>(bits >> 23) + above);
}

}  // namespace rotor
