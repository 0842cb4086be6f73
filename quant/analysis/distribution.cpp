#include "quant/analysis/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace rotor {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double normal_cdf(const Fit& fit, double x) {
  return 0.5 * std::erfc((fit.location - x) / (fit.scale * std::numbers::sqrt2));
}

double laplace_cdf(const Fit& fit, double x) {
  const double tail = 0.5 * std::exp(-std::abs(x - fit.location) / fit.scale);
  return x < fit.location ? tail : 1.0 - tail;
}

template <typename Cdf>
double distance(const std::vector<float>& sorted, const Fit& fit, Cdf cdf) {
  const auto count = static_cast<double>(sorted.size());
  double largest = 0.0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const double expected = cdf(fit, static_cast<double>(sorted[i]));
    const auto place = static_cast<double>(i);
    largest = std::max({largest, expected - place / count, (place + 1.0) / count - expected});
  }
  return largest;
}

std::vector<float> sorted_sample(std::span<const float> values) {
  const auto most = static_cast<size_t>(kDistanceValues);
  const size_t count = std::min(values.size(), most);
  std::vector<float> sample(count);
  for (size_t i = 0; i < count; ++i) {
    sample[i] = values[i * values.size() / count];
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

void add_moments(std::span<const float> values, Distribution* result) {
  double sum = 0.0;
  for (const float value : values) {
    sum += static_cast<double>(value);
    result->largest = std::max(result->largest, std::abs(static_cast<double>(value)));
  }
  const auto count = static_cast<double>(values.size());
  result->mean = sum / count;
  double second = 0.0;
  double fourth = 0.0;
  for (const float value : values) {
    const double off = static_cast<double>(value) - result->mean;
    const double square = off * off;
    second += square;
    fourth += square * square;
  }
  second /= count;
  fourth /= count;
  result->deviation = std::sqrt(second);
  result->excess_kurtosis = second > 0.0 ? fourth / (second * second) - 3.0 : 0.0;
}

/// Median and mean distance from it.
Fit fit_laplace(std::span<const float> values) {
  std::vector<float> copy(values.begin(), values.end());
  const auto middle = copy.begin() + static_cast<std::ptrdiff_t>(copy.size() / 2);
  std::nth_element(copy.begin(), middle, copy.end());
  Fit fit;
  fit.location = static_cast<double>(*middle);
  double sum = 0.0;
  for (const float value : values) {
    sum += std::abs(static_cast<double>(value) - fit.location);
  }
  fit.scale = sum / static_cast<double>(values.size());
  return fit;
}

}  // namespace

Distribution describe_values(std::span<const float> values) {
  Distribution result;
  result.count = std::ssize(values);
  add_moments(values, &result);
  result.normal = {result.mean, result.deviation, kNaN, kNaN};
  result.laplace = fit_laplace(values);
  result.laplace.log_likelihood = kNaN;
  result.laplace.distance = kNaN;
  if (!(result.deviation > 0.0) || !(result.laplace.scale > 0.0)) {
    return result;
  }
  using std::numbers::e;
  using std::numbers::pi;
  const double variance = result.deviation * result.deviation;
  result.normal.log_likelihood = -0.5 * std::log(2.0 * pi * e * variance);
  result.laplace.log_likelihood = -std::log(2.0 * e * result.laplace.scale);
  const std::vector<float> sorted = sorted_sample(values);
  result.normal.distance = distance(sorted, result.normal, normal_cdf);
  result.laplace.distance = distance(sorted, result.laplace, laplace_cdf);
  return result;
}

}  // namespace rotor
