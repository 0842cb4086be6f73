#include "quant/format/activations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "quant/format/e4m3.h"

namespace rotor {
namespace {

std::vector<float> random_activations(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, 3.0F);
  std::vector<float> x(count);
  for (float& value : x) {
    value = normal(generator);
  }
  return x;
}

std::vector<float> quantize(const std::vector<float>& x, int64_t cols, Format format,
                            int64_t group_size, float global_scale,
                            GlobalScale global = GlobalScale::kDivisor) {
  std::vector<float> out(x.size());
  SerialParallel serial;
  fake_quantize_activations(x.data(), static_cast<int64_t>(x.size()) / cols, cols,
                            {format, group_size, DType::kU8, global}, global_scale, out.data(),
                            serial);
  return out;
}

TEST(FakeQuantize, Nvfp4GroupsLieOnTheirGrid) {
  const std::vector<float> x = random_activations(4 * 64, 1);
  const float global = 2688.0F / 12.0F;
  const std::vector<float> out = quantize(x, 64, Format::kNvfp4, 16, global);
  for (size_t g = 0; g < x.size(); g += 16) {
    float absmax = 0.0F;
    for (size_t i = g; i < g + 16; ++i) {
      absmax = std::max(absmax, std::fabs(x[i]));
    }
    const float scale = e4m3_decode(e4m3_encode(global * absmax / 6.0F)) / global;
    for (size_t i = g; i < g + 16; ++i) {
      const float code = out[i] / scale;
      EXPECT_FLOAT_EQ(code * 2.0F, std::round(code * 2.0F));
      const float spacing = std::fabs(x[i]) > 4.0F * scale ? 2.0F : 1.0F;
      EXPECT_LE(std::fabs(out[i] - x[i]), spacing * scale * 1.1F);
    }
  }
}

TEST(FakeQuantize, Mxfp4UsesTheRulesExponent) {
  std::vector<float> x(32, 0.0F);
  x[0] = 7.0F;  // 1.75 * 4: scale 2^(2 - 2 + 1) = 2
  x[1] = 1.0F;
  EXPECT_EQ(quantize(x, 32, Format::kMxfp4, 32, 1.0F)[0], 8.0F);
  EXPECT_EQ(quantize(x, 32, Format::kMxfp4, 32, 1.0F)[1], 1.0F);
  x[0] = 6.9F;  // mantissa below 1.75: scale 1, clipped to 6
  EXPECT_EQ(quantize(x, 32, Format::kMxfp4, 32, 1.0F)[0], 6.0F);
}

TEST(FakeQuantize, Mxfp4InThirdsTakesTheExponentOfTheLargest) {
  // formats.md section 2: absmax .1 -> byte 123, effective scale 2^-4 / 3; .1 -> 4, -.03 -> -1.5.
  std::vector<float> x(32, 0.0F);
  x[0] = .1F;
  x[1] = -.03F;
  const float scale = 0x1p-4F / 3.0F;
  const std::vector<float> out = quantize(x, 32, Format::kMxfp4, 32, 3.0F, GlobalScale::kThree);
  EXPECT_EQ(out[0], 4.0F * scale);
  EXPECT_EQ(out[1], -1.5F * scale);
  x[0] = .0625F;  // a power of two is 3 times its third
  EXPECT_EQ(quantize(x, 32, Format::kMxfp4, 32, 3.0F, GlobalScale::kThree)[0], 3.0F * scale);
}

TEST(FakeQuantize, AMultiplierScalesAsItsReciprocalDivides) {
  const std::vector<float> x = random_activations(4 * 64, 5);
  const std::vector<float> divided = quantize(x, 64, Format::kNvfp4, 16, 256.0F);
  EXPECT_EQ(quantize(x, 64, Format::kNvfp4, 16, 1.0F / 256.0F, GlobalScale::kMultiplier), divided);
  // What is no power of two: engines divide 1 by the multiplier once, and keep F32 throughout.
  const float multiplier = 11.3F / 2688.0F;
  const float divisor = 1.0F / multiplier;
  const std::vector<float> out =
      quantize(x, 64, Format::kNvfp4, 16, multiplier, GlobalScale::kMultiplier);
  for (size_t g = 0; g < x.size(); g += 16) {
    float absmax = 0.0F;
    for (size_t i = g; i < g + 16; ++i) {
      absmax = std::max(absmax, std::fabs(x[i]));
    }
    const float scale = e4m3_decode(e4m3_encode(divisor * absmax / 6.0F)) * multiplier;
    for (size_t i = g; i < g + 16; ++i) {
      EXPECT_FLOAT_EQ(out[i] / scale * 2.0F, std::round(out[i] / scale * 2.0F));
    }
  }
}

TEST(FakeQuantize, Int4KeepsTheErrorBelowHalfAStep) {
  const std::vector<float> x = random_activations(2 * 64, 2);
  const std::vector<float> out = quantize(x, 64, Format::kInt4, 32, 1.0F);
  for (size_t g = 0; g < x.size(); g += 32) {
    float absmax = 0.0F;
    for (size_t i = g; i < g + 32; ++i) {
      absmax = std::max(absmax, std::fabs(x[i]));
    }
    for (size_t i = g; i < g + 32; ++i) {
      EXPECT_LE(std::fabs(out[i] - x[i]), absmax / 7.5F * 0.5001F);
    }
  }
}

TEST(FakeQuantize, ZerosStayAndBadValuesStayVisible) {
  std::vector<float> x(64, 0.0F);
  x[16] = 1e-30F;
  x[32] = std::numeric_limits<float>::quiet_NaN();
  x[48] = std::numeric_limits<float>::infinity();
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const std::vector<float> out = quantize(x, 64, format, 16, 100.0F);
    EXPECT_EQ(out[0], 0.0F);
    EXPECT_NEAR(out[16], 0.0F, 2e-30F);
    EXPECT_TRUE(std::isnan(out[33]));
    EXPECT_TRUE(std::isnan(out[63]));
  }
}

TEST(FakeQuantize, InPlaceIsTheSame) {
  std::vector<float> x = random_activations(8 * 32, 3);
  const std::vector<float> expected = quantize(x, 32, Format::kMxfp4, 32, 1.0F);
  SerialParallel serial;
  fake_quantize_activations(x.data(), 8, 32, {Format::kMxfp4, 32, DType::kU8}, 1.0F, x.data(),
                            serial);
  EXPECT_EQ(x, expected);
}

}  // namespace
}  // namespace rotor
