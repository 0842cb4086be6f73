// How the values of a weight or of an input are spread: moments, and the Normal and the Laplace
// distribution that fit them best.
//
// Thread-safety: pure functions. Cost: three passes and a partial sort of a copy, F64 sums; the
// distances sort kDistanceValues of them at most, evenly spaced.
#pragma once

#include <cstdint>
#include <span>

namespace rotor {

inline constexpr int64_t kDistanceValues = int64_t{1} << 16;

/// A distribution fitted by maximum likelihood, and how well it fits.
struct Fit {
  double location = 0.0;  // the mean of a Normal, the median of a Laplace
  double scale = 0.0;     // sigma, or b of exp(-|x - location| / b) / (2 b)
  /// Mean over the values of the logarithm of the density, nats: the larger one fits better.
  double log_likelihood = 0.0;
  /// Kolmogorov and Smirnov's: the largest difference between both distribution functions, 0 to 1.
  double distance = 0.0;
};

struct Distribution {
  int64_t count = 0;
  double mean = 0.0;
  double deviation = 0.0;  // sqrt of the mean squared deviation
  /// m4 / m2^2 - 3 of the central moments: 0 of a Normal, 3 of a Laplace, more with outliers.
  double excess_kurtosis = 0.0;
  double largest = 0.0;  // magnitude
  /// Normal: mean and deviation; log-likelihood -ln(2 pi e sigma^2) / 2.
  Fit normal;
  /// Laplace: median (of an even count the upper of the two in the middle) and b = mean
  /// |x - median|; log-likelihood -ln(2 e b).
  Fit laplace;
};

/// Of one value or more, all finite. Where all are the same the deviation and the kurtosis are 0,
/// and log-likelihoods and distances are NaN: no density fits.
Distribution describe_values(std::span<const float> values);

}  // namespace rotor
