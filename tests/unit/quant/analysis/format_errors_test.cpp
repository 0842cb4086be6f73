#include "quant/analysis/format_errors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

QuantScheme scheme_of(Format format, int64_t group = 0) {
  return make_scheme(format, group, DType::kF32).value();
}

std::vector<float> random_values(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::student_t_distribution<float> heavy(4.0F);
  std::vector<float> values(count);
  for (float& value : values) {
    value = heavy(generator);
  }
  return values;
}

FormatErrors weights(const std::vector<float>& w, int64_t cols, const QuantScheme& scheme,
                     float amax, ScaleSearch search = ScaleSearch::kAbsmax) {
  SerialParallel serial;
  const RotatedRows rows{w.data(), w.data(), std::ssize(w) / cols, cols, 0};
  return weight_errors(rows, scheme, global_scale_for(scheme, amax), search, serial).value();
}

TEST(FormatErrors, ByHand) {
  // A group of MXFP4 whose scale is 1: 6 and 3 stay, 2.25 becomes 2, 5.5 becomes 6, 0.2 becomes 0.
  std::vector<float> w(32, 0.0F);
  w[0] = 3.0F;
  w[1] = 2.25F;
  w[2] = -6.0F;
  w[3] = 5.5F;
  w[4] = 0.2F;
  const FormatErrors found = weights(w, 32, scheme_of(Format::kMxfp4), 6.0F);
  const double squares = 9.0 + 5.0625 + 36.0 + 30.25 + 0.04;
  EXPECT_EQ(found.groups, 1);
  EXPECT_NEAR(found.squares, squares, 1e-6);
  EXPECT_NEAR(found.squared_error, 0.0625 + 0.25 + 0.04, 1e-6);
  EXPECT_NEAR(found.relative(), 0.3525 / squares, 1e-8);
  EXPECT_NEAR(found.total(), found.relative(), 1e-12);
  EXPECT_EQ(found.top(), 0.0);
}

TEST(FormatErrors, TheTopElementIsTheGroupsOwn) {
  // Scale 1; 5 lies between 4 and 6 and goes to 4, the even one.
  std::vector<float> w(64, 0.0F);
  w[7] = -5.0F;
  w[9] = 1.0F;
  const FormatErrors found = weights(w, 64, scheme_of(Format::kMxfp4), 6.0F);
  EXPECT_EQ(found.groups, 1) << "a group of zeros counts nowhere";
  EXPECT_NEAR(found.top(), 1.0 / 25.0, 1e-9);
  EXPECT_NEAR(found.top_absolute(), 1.0, 1e-9);
  EXPECT_NEAR(found.total(), 1.0 / 26.0, 1e-9);
}

TEST(FormatErrors, GroupsCountAlikeInTheMeanAndBySizeInTheSum) {
  // Two groups of the same shape, one a thousandth as large, with scales that are both exact.
  std::vector<float> w(64, 0.0F);
  w[0] = 6.0F;
  w[1] = 2.5F;  // to 2
  w[32] = 6.0F / 1024.0F;
  w[33] = 1.25F / 1024.0F;  // to 1
  const FormatErrors found = weights(w, 64, scheme_of(Format::kMxfp4), 6.0F);
  const double large = 0.25 / 42.25;
  const double small = 0.0625 / 37.5625;
  EXPECT_NEAR(found.relative(), (large + small) / 2, 1e-9);
  EXPECT_NEAR(found.total(), large, 1e-5);
  EXPECT_EQ(found.octaves(), 10.0);
}

TEST(FormatErrors, ARotationIsUndoneBeforeTheTopIsLookedAt) {
  // One value a block becomes a block of equal magnitudes, which every format keeps: so the value
  // is as it was, in its place.
  constexpr int64_t kCols = 64;
  std::vector<float> x(kCols, 0.0F);
  x[5] = 12.0F;
  x[40] = -3.0F;
  std::vector<float> rotated(kCols);
  SerialParallel serial;
  ASSERT_OK(rotate_rows(x.data(), DType::kF32, 1, kCols, 16, rotated.data(), serial));
  const QuantScheme scheme = scheme_of(Format::kMxfp4);
  const FormatErrors found =
      input_errors({x.data(), rotated.data(), 1, kCols, 16}, scheme, 1.0F, serial).value();
  EXPECT_EQ(found.groups, 2);
  EXPECT_NEAR(found.top(), 0.0, 1e-12);
  EXPECT_NEAR(found.total(), 0.0, 1e-12);
}

TEST(FormatErrors, ARotationKeepsTheSumOfSquares) {
  constexpr int64_t kCols = 128;
  const std::vector<float> w = random_values(64 * kCols, 3);
  std::vector<float> rotated(w.size());
  SerialParallel serial;
  ASSERT_OK(rotate_rows(w.data(), DType::kF32, 64, kCols, 128, rotated.data(), serial));
  const QuantScheme scheme = scheme_of(Format::kNvfp4);
  const FormatErrors found =
      weight_errors({w.data(), rotated.data(), 64, kCols, 128}, scheme,
                    global_scale_for(scheme, 100.0F), ScaleSearch::kAbsmax, serial)
          .value();
  const FormatErrors plain = weights(w, kCols, scheme, 100.0F);
  EXPECT_NEAR(found.squares, plain.squares, 1e-5 * plain.squares);
  EXPECT_GT(found.top(), plain.top()) << "the rotation spreads the errors over the top elements";
}

TEST(FormatErrors, SearchedScalesAreNoWorse) {
  const std::vector<float> w = random_values(256 * 256, 4);
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const QuantScheme scheme = scheme_of(format);
    const FormatErrors absmax = weights(w, 256, scheme, 100.0F);
    const FormatErrors searched = weights(w, 256, scheme, 100.0F, ScaleSearch::kMse);
    EXPECT_LT(searched.squared_error, absmax.squared_error) << to_string(format);
    EXPECT_GT(searched.squared_error, 0.3 * absmax.squared_error) << to_string(format);
  }
}

TEST(FormatErrors, AnyNumberOfThreadsGivesTheSame) {
  const std::vector<float> w = random_values(96 * 128, 5);
  const RotatedRows rows{w.data(), w.data(), 96, 128, 0};
  const QuantScheme scheme = scheme_of(Format::kInt4);
  SerialParallel serial;
  const auto pool = make_thread_pool(3);
  const FormatErrors one = input_errors(rows, scheme, 1.0F, serial).value();
  const FormatErrors three = input_errors(rows, scheme, 1.0F, *pool).value();
  EXPECT_EQ(one.squared_error, three.squared_error);
  EXPECT_EQ(one.top_ratios, three.top_ratios);
}

TEST(FormatErrors, WeightsThatAreNotFiniteAreRefused) {
  std::vector<float> w(32, 1.0F);
  w[3] = std::nanf("");
  SerialParallel serial;
  const QuantScheme scheme = scheme_of(Format::kMxfp4);
  EXPECT_FALSE(
      weight_errors({w.data(), w.data(), 1, 32, 0}, scheme, 1.0F, ScaleSearch::kAbsmax, serial)
          .ok());
}

}  // namespace
}  // namespace rotor
