#include "worker/backend/cpu/lanes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace rotor::worker::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LanesTest, ExponentialIsAccurateOverItsWholeRange) {
  for (double x = -87.3; x <= 88.0; x += 0.000937) {
    const auto argument = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(argument));
    ASSERT_NEAR(static_cast<double>(exp_approx(argument)) / exact, 1.0, 2e-7) << argument;
  }
}

TEST(LanesTest, ExponentialAtTheEdges) {
  EXPECT_EQ(exp_approx(0.0F), 1.0F);
  EXPECT_EQ(exp_approx(-0.0F), 1.0F);
  EXPECT_EQ(exp_approx(-88.0F), 0.0F);
  EXPECT_EQ(exp_approx(-kInfinity), 0.0F);
  EXPECT_EQ(exp_approx(1000.0F), exp_approx(88.0F));
  EXPECT_EQ(exp_approx(kInfinity), exp_approx(88.0F));
  EXPECT_TRUE(std::isnan(exp_approx(std::numeric_limits<float>::quiet_NaN())));
}

TEST(LanesTest, MaximumAtEveryPlaceOfEveryLength) {
  for (int64_t count = 1; count < 70; ++count) {
    for (int64_t place = 0; place < count; ++place) {
      std::vector<float> values(static_cast<size_t>(count), -3.0F);
      values[static_cast<size_t>(place)] = -1.0F;
      ASSERT_EQ(max_of(values.data(), count), -1.0F) << count << ", " << place;
    }
  }
}

TEST(LanesTest, SumsTakeEveryElementOnce) {
  for (int64_t count = 1; count < 40; ++count) {
    std::vector<float> values;
    double squares = 0.0;
    double exponentials = 0.0;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(0.25F * static_cast<float>(i));
      squares += std::pow(0.25 * static_cast<double>(i), 2);
      exponentials += std::exp(0.25 * static_cast<double>(i) - 9.0);
    }
    EXPECT_EQ(sum_of_squares(values.data(), count), squares);
    EXPECT_NEAR(exp_and_sum(values.data(), count, 9.0F) / exponentials, 1.0, 1e-6) << count;
    EXPECT_NEAR(values.back(), std::exp(0.25 * static_cast<double>(count - 1) - 9.0), 1e-6);
  }
}

TEST(LanesTest, SoftCapBendsLargeValuesAndKeepsSmallOnes) {
  std::vector<float> x{0.0F, -0.0F, 1e-4F, -1e-4F, 0.5F, -3.0F, 49.0F, -60.0F, 1e4F, -1e30F, 2.0F};
  const std::vector<float> before = x;
  soft_cap_run(x.data(), static_cast<int64_t>(x.size()), 50.0F);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(x[i], 50.0 * std::tanh(static_cast<double>(before[i]) / 50.0), 50.0 * 0x1p-21);
  }
}

TEST(LanesTest, GeluInPlaceAndAtTheEdges) {
  std::vector<float> gate{0.0F,   1.0F, -1.0F, 20.0F, -20.0F, 1e30F,
                          -1e30F, 3.0F, -3.0F, 0.5F,  -0.1F};
  const std::vector<float> before = gate;
  const std::vector<float> up(gate.size(), 2.0F);
  gelu_tanh_run(gate.data(), up.data(), static_cast<int64_t>(gate.size()), gate.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const auto x = static_cast<double>(before[i]);
    const double cubic = std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x);
    EXPECT_NEAR(gate[i], x * (1.0 + std::tanh(cubic)), 1e-6 * std::max(1.0, std::abs(x)));
  }
}

TEST(LanesTest, SiluInPlaceAndAtTheEdges) {
  std::vector<float> gate{0.0F, 1.0F, -1.0F, 20.0F, -20.0F, 100.0F, -100.0F, 3.0F, -3.0F, 0.5F};
  const std::vector<float> before = gate;
  const std::vector<float> up(gate.size(), 2.0F);
  silu_run(gate.data(), up.data(), static_cast<int64_t>(gate.size()), gate.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const auto x = static_cast<double>(before[i]);
    EXPECT_NEAR(gate[i], 2.0 * x / (1.0 + std::exp(-x)), 1e-6 * std::max(1.0, std::abs(x)));
  }
}

}  // namespace
}  // namespace rotor::worker::cpu
