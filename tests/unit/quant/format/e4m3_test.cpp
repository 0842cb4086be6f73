#include "quant/format/e4m3.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rotor {
namespace {

double value_of(int byte) {
  const int exponent = (byte >> 3) & 15;
  const int mantissa = byte & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (byte & 0x80) != 0 ? -magnitude : magnitude;
}

TEST(E4m3, AllBytesDecodeAndComeBack) {
  for (int byte = 0; byte < 256; ++byte) {
    const float value = e4m3_decode(static_cast<uint8_t>(byte));
    if ((byte & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(value)) << byte;
    } else {
      EXPECT_EQ(static_cast<double>(value), value_of(byte)) << byte;
    }
    EXPECT_EQ(e4m3_encode(value) & 0x7F, byte & 0x7F) << byte;
    if (!std::isnan(value)) {
      EXPECT_EQ(e4m3_encode(value), byte);
    }
  }
}

TEST(E4m3, TiesGoToTheEvenMantissaAndNeighboursToTheNearest) {
  for (int byte = 0; byte < 0x7E; ++byte) {
    // Exact in F32: both values are multiples of 2^-9 with few bits.
    const auto middle = static_cast<float>((value_of(byte) + value_of(byte + 1)) / 2.0);
    const int even = (byte & 1) == 0 ? byte : byte + 1;
    for (const float sign : {1.0F, -1.0F}) {
      const int sign_bit = sign < 0.0F ? 0x80 : 0;
      EXPECT_EQ(e4m3_encode(sign * middle), even | sign_bit) << byte;
      EXPECT_EQ(e4m3_encode(sign * std::nextafter(middle, 0.0F)), byte | sign_bit) << byte;
      EXPECT_EQ(e4m3_encode(sign * std::nextafter(middle, 1e9F)), (byte + 1) | sign_bit) << byte;
    }
  }
}

TEST(E4m3, SaturatesAndKeepsNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {448.0F, 463.9F, 464.0F, 480.0F, 1e30F, infinity}) {
    EXPECT_EQ(e4m3_encode(value), 0x7E) << value;
    EXPECT_EQ(e4m3_encode(-value), 0xFE) << value;
  }
  EXPECT_EQ(e4m3_encode(std::numeric_limits<float>::quiet_NaN()) & 0x7F, 0x7F);
  EXPECT_EQ(e4m3_encode(1e-30F), 0);
}

}  // namespace
}  // namespace rotor
