#include "quant/format/int4.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rotor {
namespace {

TEST(Int4, EveryCodeDecodesAndComesBack) {
  for (uint8_t code = 0; code < 16; ++code) {
    EXPECT_EQ(int4_decode(code), static_cast<float>(code) - 8.0F);
    EXPECT_EQ(int4_encode(int4_decode(code)), code);
  }
}

TEST(Int4, RoundsTiesToEvenAndSaturates) {
  for (int q = -8; q < 7; ++q) {
    const float tie = static_cast<float>(q) + 0.5F;
    const int even = q % 2 == 0 ? q : q + 1;
    EXPECT_EQ(int4_round(tie), static_cast<float>(even > 7 ? 7 : even));
    EXPECT_EQ(int4_round(std::nextafter(tie, -100.0F)), static_cast<float>(q));
    EXPECT_EQ(int4_round(std::nextafter(tie, 100.0F)), static_cast<float>(q + 1));
  }
  EXPECT_EQ(int4_encode(1e30F), 15);
  EXPECT_EQ(int4_encode(-1e30F), 0);
  EXPECT_FALSE(std::signbit(int4_round(-0.2F)));
}

}  // namespace
}  // namespace rotor
