// What is measured on synthetic values beside the paper's definitions and lemmas (format_errors.h
// has them). The expectations are integrals, computed here on formats that are written down again.
//
// A group of G values of which the largest magnitude is m, |X| with density f and distribution F
// (m itself has the density G F^(G-1) f):
//   MSE(G) = integral of G F(m)^(G-1) f(m) [ (m - Q(m))^2 / G
//              + (G - 1) / G / F(m) * integral over (0, m) of (x - Q(x))^2 f(x) dx ] dm
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "quant/analysis/format_errors.h"
#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

enum class Shape { kLaplace, kNormal };  // of variance 1, as definition 1 has them

double density(Shape shape, double z) {
  return shape == Shape::kLaplace ? M_SQRT2 * std::exp(-M_SQRT2 * z)
                                  : std::sqrt(2.0 / M_PI) * std::exp(-z * z / 2.0);
}

double below(Shape shape, double z) {
  return shape == Shape::kLaplace ? -std::expm1(-M_SQRT2 * z) : std::erf(z / M_SQRT2);
}

/// The scale of a group whose largest magnitude is m.
double scale_of(Format format, double m, double global) {
  switch (format) {
    case Format::kNvfp4: {  // E4M3: three bits behind the leading one
      const double asked = m * global / 6.0;
      const double step = std::exp2(std::floor(std::log2(asked)) - 3.0);
      return std::nearbyint(asked / step) * step / global;
    }
    case Format::kMxfp4: {
      const double exponent = std::floor(std::log2(m));
      return std::exp2(exponent - (m / std::exp2(exponent) >= 1.75 ? 1.0 : 2.0));
    }
    case Format::kInt4:
      break;
  }
  return m / 7.5;
}

/// The nearest magnitude that the format has.
double rounded(Format format, double x, double scale) {
  const double u = x / scale;
  if (format == Format::kInt4) {
    return std::min(std::nearbyint(u), 7.0) * scale;
  }
  double best = 0.0;
  for (const double value : {0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0}) {
    best = std::abs(u - value) < std::abs(u - best) ? value : best;
  }
  return best * scale;
}

/// Mean of what `of_group` is over the groups' largest magnitudes.
double over_largest(Shape shape, int64_t group, const std::function<double(double)>& of_group) {
  constexpr int kSteps = 800;
  const double from = 0.02;
  const double to = shape == Shape::kLaplace ? 25.0 : 9.0;
  const double step = (to - from) / kSteps;
  double sum = 0.0;
  const auto g = static_cast<double>(group);
  for (int i = 0; i < kSteps; ++i) {
    const double m = from + (i + 0.5) * step;
    const double weight = g * std::pow(below(shape, m), g - 1.0) * density(shape, m) * step;
    sum += weight > 1e-9 ? weight * of_group(m) : 0.0;
  }
  return sum;
}

double expected_mse(Shape shape, Format format, int64_t group, double global) {
  const auto g = static_cast<double>(group);
  return over_largest(shape, group, [&](double m) {
    constexpr int kSteps = 500;
    const double scale = scale_of(format, m, global);
    double others = 0.0;
    for (int i = 0; i < kSteps; ++i) {
      const double x = (i + 0.5) * m / kSteps;
      const double error = x - rounded(format, x, scale);
      others += error * error * density(shape, x) * m / kSteps;
    }
    const double top = m - rounded(format, m, scale);
    return (top * top + (g - 1.0) * others / below(shape, m)) / g;
  });
}

double expected_top(Shape shape, Format format, int64_t group, double global) {
  return over_largest(shape, group, [&](double m) {
    const double error = m - rounded(format, m, scale_of(format, m, global));
    return error * error / (m * m);
  });
}

constexpr int64_t kCols = 1024;
constexpr int64_t kRows = 1024;

std::vector<float> values_of(Shape shape, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  std::exponential_distribution<double> magnitude(M_SQRT2);
  std::vector<float> values(static_cast<size_t>(kCols * kRows));
  for (float& value : values) {
    value = static_cast<float>(
        shape == Shape::kNormal ? normal(generator)
                                : magnitude(generator) * ((generator() & 1U) == 0U ? 1.0 : -1.0));
  }
  return values;
}

FormatErrors measured(const std::vector<float>& values, const QuantScheme& scheme, float global,
                      int64_t block = 0) {
  SerialParallel serial;
  std::vector<float> rotated = values;
  if (block > 0) {
    EXPECT_OK(rotate_rows(values.data(), DType::kF32, kRows, kCols, block, rotated.data(), serial));
  }
  return weight_errors({values.data(), rotated.data(), kRows, kCols, block}, scheme, global,
                       ScaleSearch::kAbsmax, serial)
      .value();
}

constexpr float kGlobal = 100.0F;  // of NVFP4: no scale here is subnormal or saturates

float global_of(Format format) {
  return format == Format::kNvfp4 ? kGlobal : 1.0F;
}

TEST(Lemmas, ErrorsOfEachFormatAreTheirExpectations) {
  for (const Shape shape : {Shape::kLaplace, Shape::kNormal}) {
    const std::vector<float> values = values_of(shape, 11);
    for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
      const QuantScheme scheme = make_scheme(format, 0, DType::kF32).value();
      const float global = global_of(format);
      const FormatErrors found = measured(values, scheme, global);
      const double mse =
          expected_mse(shape, format, scheme.group_size, static_cast<double>(global));
      const double top =
          expected_top(shape, format, scheme.group_size, static_cast<double>(global));
      EXPECT_NEAR(found.total(), mse, 0.015 * mse) << to_string(format);
      EXPECT_NEAR(found.top(), top, 0.03 * top) << to_string(format);
    }
  }
}

TEST(Lemmas, ARotatedTopElementHasTheErrorOfAnyOther) {
  // Lemma 1, whose independence of error and value holds but nearly.
  const std::vector<float> values = values_of(Shape::kNormal, 12);
  const QuantScheme nvfp4 = make_scheme(Format::kNvfp4, 0, DType::kF32).value();
  const FormatErrors rotated = measured(values, nvfp4, kGlobal, 16);
  const double mse = rotated.squared_error / static_cast<double>(kCols * kRows);
  EXPECT_NEAR(rotated.top_absolute(), mse, 0.1 * mse);
  // Remark 2: not rotated nothing but the rounding of the scale is left of it.
  EXPECT_LT(measured(values, nvfp4, kGlobal).top_absolute(), 0.5 * mse);
}

/// Lemma 2's preserved mass, E[X^2 1{|X| >= delta M}].
double preserved(Shape shape, int64_t group, double delta) {
  return over_largest(shape, group, [&](double m) {
    const double a = delta * m;
    if (shape == Shape::kLaplace) {
      const double t = M_SQRT2 * a;
      return std::exp(-t) * (1.0 + t + t * t / 2.0);
    }
    return a * density(shape, a) + std::erfc(a / M_SQRT2);
  });
}

TEST(Lemmas, WhatIsLeftOfLargeGroupsIsTheMassAboveTheDeadZone) {
  // INT4 goes with any group; its dead zone ends at half a step of 7.5. What is above it still has
  // rounding errors, at most half a step each.
  constexpr double kDelta = 0.5 / 7.5;
  for (const Shape shape : {Shape::kLaplace, Shape::kNormal}) {
    const std::vector<float> values = values_of(shape, 13);
    double before = 1.0;
    for (const int64_t group : {64, 256, 1024}) {
      const QuantScheme scheme = make_scheme(Format::kInt4, group, DType::kF32).value();
      const double left = 1.0 - measured(values, scheme, 1.0F).total();
      const double mass = preserved(shape, group, kDelta);
      EXPECT_LT(left, mass);
      EXPECT_GT(left, 0.93 * mass);
      EXPECT_LT(left, before) << "larger groups lose more";
      before = left;
    }
  }
}

TEST(Lemmas, SmallGroupsFavourLaplaceAndLargeOnesNormal) {
  // The crossover that lemma 2 predicts, which is why small groups are not rotated.
  const std::vector<float> laplace = values_of(Shape::kLaplace, 14);
  const std::vector<float> normal = values_of(Shape::kNormal, 15);
  const QuantScheme nvfp4 = make_scheme(Format::kNvfp4, 0, DType::kF32).value();
  EXPECT_LT(measured(laplace, nvfp4, kGlobal).total(), measured(normal, nvfp4, kGlobal).total());
  const QuantScheme large = make_scheme(Format::kInt4, 1024, DType::kF32).value();
  EXPECT_GT(measured(laplace, large, 1.0F).total(), measured(normal, large, 1.0F).total());
}

TEST(Lemmas, TheMassFallsAtTheRatesOfLemma2) {
  // By the logarithm l of a group far larger than any in use, its largest magnitude where one value
  // of the group lies above: l / sqrt(2) and sqrt(2 l). Over the rate it comes to a constant.
  constexpr double kDelta = 1.0 / 24.0;
  const auto laplace = [](double l) {
    const double t = kDelta * l;
    return (1.0 + t + t * t / 2.0) / (l * l);  // times G^delta / G^delta
  };
  const auto normal = [](double l) {
    const double a = kDelta * std::sqrt(2.0 * l);
    const double mass = a * density(Shape::kNormal, a) + std::erfc(a / M_SQRT2);
    return mass / (std::sqrt(l) * std::exp(-kDelta * kDelta * l));
  };
  EXPECT_NEAR(laplace(1e6), kDelta * kDelta / 2.0, 1e-3 * kDelta * kDelta);
  EXPECT_NEAR(normal(1e5), 2.0 * kDelta / std::sqrt(M_PI), 0.01 * kDelta);
}

TEST(Lemmas, TheTopElementOfMxfp4HardlyDependsOnTheDistribution) {
  // Lemma 4: about the integral over [1, 2], scale as of a group whose largest magnitude x is.
  double integral = 0.0;
  constexpr int kSteps = 100000;
  for (int i = 0; i < kSteps; ++i) {
    const double x = 1.0 + (i + 0.5) / kSteps;
    const double error = x - rounded(Format::kMxfp4, x, scale_of(Format::kMxfp4, x, 1.0));
    integral += error * error / (x * x) / kSteps;
  }
  const QuantScheme scheme = make_scheme(Format::kMxfp4, 0, DType::kF32).value();
  for (const Shape shape : {Shape::kLaplace, Shape::kNormal}) {
    EXPECT_NEAR(measured(values_of(shape, 16), scheme, 1.0F).top(), integral, 0.4 * integral);
  }
}

}  // namespace
}  // namespace rotor
