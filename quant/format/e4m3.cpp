#include "quant/format/e4m3.h"

#include <bit>
#include <cmath>
#include <limits>

namespace rotor {
namespace {

constexpr std::array<float, 256> make_values() {
  std::array<float, 256> values{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t exponent = (byte >> 3) & 15U;
    const uint32_t mantissa = byte & 7U;
    float magnitude = 0.0F;
    if ((byte & 0x7FU) == 0x7FU) {
      magnitude = std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == 0) {
      magnitude = static_cast<float>(mantissa) * 0x1p-9F;
    } else {
      magnitude = std::bit_cast<float>(((exponent + 120U) << 23) | (mantissa << 20));
    }
    values[byte] = (byte & 0x80U) != 0 ? -magnitude : magnitude;
  }
  return values;
}

}  // namespace

constinit const std::array<float, 256> kE4m3Values = make_values();

uint8_t e4m3_encode(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {
    return static_cast<uint8_t>(sign | 0x7FU);
  }
  if (magnitude < 0x3C800000U) {  // below 2^-6, the smallest normal E4M3
    const float steps = std::nearbyint(std::bit_cast<float>(magnitude) * 0x1p9F);
    return static_cast<uint8_t>(sign | static_cast<uint32_t>(steps));
  }
  const uint32_t rounded = (magnitude - (120U << 23) + 0x7FFFFU + ((magnitude >> 20) & 1U)) >> 20;
  return static_cast<uint8_t>(sign | (rounded < kE4m3MaxByte ? rounded : kE4m3MaxByte));
}

}  // namespace rotor
