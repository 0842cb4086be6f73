#include "quant/analysis/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace rotor {
namespace {

constexpr size_t kCount = size_t{1} << 18;

std::vector<float> normal_values(double mean, double deviation, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<float> values(kCount);
  for (float& value : values) {
    value = static_cast<float>(normal(generator));
  }
  return values;
}

std::vector<float> laplace_values(double location, double scale, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::exponential_distribution<double> magnitude(1.0 / scale);
  std::bernoulli_distribution negative(0.5);
  std::vector<float> values(kCount);
  for (float& value : values) {
    const double off = magnitude(generator);
    value = static_cast<float>(location + (negative(generator) ? -off : off));
  }
  return values;
}

TEST(Distribution, ExactOfAFewValues) {
  // Deviations from the mean 2: -3, -1, 0, 1, 3; m2 = 4, m4 = 164 / 5.
  const std::vector<float> values = {1.0F, 5.0F, 2.0F, -1.0F, 3.0F};
  const Distribution found = describe_values(values);
  EXPECT_EQ(found.count, 5);
  EXPECT_DOUBLE_EQ(found.mean, 2.0);
  EXPECT_DOUBLE_EQ(found.deviation, 2.0);
  EXPECT_DOUBLE_EQ(found.excess_kurtosis, 32.8 / 16.0 - 3.0);
  EXPECT_DOUBLE_EQ(found.largest, 5.0);
  EXPECT_DOUBLE_EQ(found.laplace.location, 2.0);
  EXPECT_DOUBLE_EQ(found.laplace.scale, 8.0 / 5.0);
}

TEST(Distribution, LogLikelihoodsAreMeansOfLogDensities) {
  const std::vector<float> values = {1.0F, 5.0F, 2.0F, -1.0F, 3.0F};
  const Distribution found = describe_values(values);
  double normal = 0.0;
  double laplace = 0.0;
  for (const float value : values) {
    const double off = static_cast<double>(value) - 2.0;
    normal += std::log(std::exp(-off * off / 8.0) / std::sqrt(8.0 * M_PI)) / 5.0;
    laplace += std::log(std::exp(-std::abs(off) / 1.6) / 3.2) / 5.0;
  }
  EXPECT_NEAR(found.normal.log_likelihood, normal, 1e-12);
  EXPECT_NEAR(found.laplace.log_likelihood, laplace, 1e-12);
}

TEST(Distribution, DistanceOfTwoValuesByHand) {
  // Normal of mean 0 and deviation 1 at -1: 0.158655, where the sample's function goes from 0 to
  // 0.5. The median is the upper value, so Laplace(1, 1) has e^-2 / 2 at -1 and 0.5 at 1.
  const Distribution found = describe_values(std::vector<float>{-1.0F, 1.0F});
  EXPECT_NEAR(found.normal.distance, 0.5 - 0.15865525, 1e-7);
  EXPECT_NEAR(found.laplace.distance, 0.5, 1e-12);
}

TEST(Distribution, ANormalSampleIsFittedByANormal) {
  const Distribution found = describe_values(normal_values(0.5, 2.0, 1));
  EXPECT_NEAR(found.normal.location, 0.5, 0.02);
  EXPECT_NEAR(found.normal.scale, 2.0, 0.02);
  EXPECT_NEAR(found.excess_kurtosis, 0.0, 0.05);
  // ln(2 e b / (sigma sqrt(2 pi e))) with b = sigma sqrt(2 / pi): what the wrong fit loses.
  EXPECT_NEAR(found.normal.log_likelihood - found.laplace.log_likelihood, 0.0484, 0.002);
  // The largest difference of 65,536 values of the distribution itself is below 1.6 / 256 nearly
  // always.
  EXPECT_LT(found.normal.distance, 0.0065);
  EXPECT_GT(found.laplace.distance, 0.03);
}

TEST(Distribution, ALaplaceSampleIsFittedByALaplace) {
  const Distribution found = describe_values(laplace_values(-0.25, 0.7, 2));
  EXPECT_NEAR(found.laplace.location, -0.25, 0.01);
  EXPECT_NEAR(found.laplace.scale, 0.7, 0.01);
  EXPECT_NEAR(found.excess_kurtosis, 3.0, 0.25);
  // ln(sigma sqrt(2 pi e) / (2 e b)) with sigma = b sqrt(2).
  EXPECT_NEAR(found.laplace.log_likelihood - found.normal.log_likelihood, 0.0724, 0.01);
  EXPECT_LT(found.laplace.distance, 0.0065);
  EXPECT_GT(found.normal.distance, 0.03);
}

TEST(Distribution, OneNumberAloneFitsNothing) {
  const Distribution found = describe_values(std::vector<float>(7, 3.5F));
  EXPECT_EQ(found.mean, 3.5);
  EXPECT_EQ(found.deviation, 0.0);
  EXPECT_EQ(found.excess_kurtosis, 0.0);
  EXPECT_TRUE(std::isnan(found.normal.log_likelihood));
  EXPECT_TRUE(std::isnan(found.laplace.distance));
}

}  // namespace
}  // namespace rotor
