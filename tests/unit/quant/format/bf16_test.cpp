#include "quant/format/bf16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace rotor {
namespace {

double half_value(int bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Bf16, AllPatternsComeBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = bf16_to_f32(static_cast<uint16_t>(bits));
    EXPECT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    const uint16_t back = f32_to_bf16(value);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(back)));
    } else {
      EXPECT_EQ(back, bits);
    }
  }
}

TEST(Bf16, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const uint32_t tie = bits << 16 | 0x8000U;
    EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(tie)), (bits & 1U) == 0 ? bits : bits + 1);
    EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(tie - 1)), bits);
    EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(tie + 1)), bits + 1);
  }
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7FFFFFFFU)))));
}

TEST(F16, AllPatternsDecodeAndComeBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if ((bits & 0x7FFF) > 0x7C00) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
      continue;
    }
    if ((bits & 0x7FFF) == 0x7C00) {
      EXPECT_TRUE(std::isinf(value));
    } else {
      EXPECT_EQ(static_cast<double>(value), half_value(bits));
    }
    EXPECT_EQ(f32_to_f16(value), bits);
  }
}

TEST(F16, RoundsToNearestEvenAndOverflowsToInfinity) {
  for (int bits = 0; bits < 0x7BFF; ++bits) {
    const auto tie = static_cast<float>((half_value(bits) + half_value(bits + 1)) / 2.0);
    EXPECT_EQ(f32_to_f16(tie), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(f32_to_f16(std::nextafter(tie, 0.0F)), bits);
    EXPECT_EQ(f32_to_f16(std::nextafter(tie, 1e9F)), bits + 1);
  }
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30F), 0xFC00);
}

TEST(WidenToF32, ReadsEveryWeightDtypeAndRefusesOthers) {
  const std::vector<uint16_t> bf16{0x3F80, 0xC000};
  const std::vector<uint16_t> f16{0x3C00, 0xC000};
  const std::vector<float> f32{1.0F, -2.0F};
  std::vector<float> out(2);
  ASSERT_TRUE(widen_to_f32(bf16.data(), DType::kBf16, 2, out.data()).ok());
  EXPECT_EQ(out, f32);
  ASSERT_TRUE(widen_to_f32(f16.data(), DType::kF16, 2, out.data()).ok());
  EXPECT_EQ(out, f32);
  ASSERT_TRUE(widen_to_f32(f32.data(), DType::kF32, 2, out.data()).ok());
  EXPECT_EQ(out, f32);
  EXPECT_EQ(widen_to_f32(f32.data(), DType::kF64, 1, out.data()).reason(), "BAD_WEIGHT_DTYPE");
}

}  // namespace
}  // namespace rotor
