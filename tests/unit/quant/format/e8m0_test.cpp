#include "quant/format/e8m0.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rotor {
namespace {

TEST(E8m0, AllBytesDecode) {
  for (int byte = 0; byte < 255; ++byte) {
    EXPECT_EQ(e8m0_decode(static_cast<uint8_t>(byte)), std::ldexp(1.0F, byte - 127)) << byte;
  }
  EXPECT_TRUE(std::isnan(e8m0_decode(255)));
}

TEST(E8m0, CeilIsTheSmallestScaleNotBelow) {
  for (int byte = 0; byte < 255; ++byte) {
    const float value = std::ldexp(1.0F, byte - 127);
    EXPECT_EQ(e8m0_ceil(value), byte);
    EXPECT_EQ(e8m0_ceil(std::nextafter(value, std::numeric_limits<float>::max())),
              byte == 254 ? 254 : byte + 1);
  }
  EXPECT_EQ(e8m0_ceil(0.0F), 0);
  EXPECT_EQ(e8m0_ceil(std::numeric_limits<float>::max()), 254);
}

TEST(E8m0, ActivationByteFollowsTheRule) {
  for (int exponent = -126; exponent <= 127; ++exponent) {
    for (const float mantissa : {1.0F, 1.25F, 1.5F, 1.7499999F, 1.75F, 1.9999999F}) {
      const int expected = 127 + exponent - 2 + (mantissa >= 1.75F ? 1 : 0);
      EXPECT_EQ(e8m0_activation_byte(std::ldexp(mantissa, exponent)), expected < 0 ? 0 : expected)
          << exponent << " " << mantissa;
    }
  }
  EXPECT_EQ(e8m0_activation_byte(0.0F), 0);
}

TEST(E8m0, FloorIsTheExponent) {
  for (int byte = 1; byte <= 254; ++byte) {
    const float value = std::ldexp(1.0F, byte - 127);
    EXPECT_EQ(e8m0_floor(value), byte);
    EXPECT_EQ(e8m0_floor(std::nextafter(value, 0.0F)), byte - 1);
  }
  EXPECT_EQ(e8m0_floor(.1F), 123);
  EXPECT_EQ(e8m0_floor(0.0F), 0);
}

}  // namespace
}  // namespace rotor
