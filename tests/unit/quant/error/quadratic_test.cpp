#include "quant/error/quadratic.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/quant/reference/problems.h"

namespace rotor {
namespace {

double direct(const float* a, const float* b, int64_t n, const std::vector<float>& hessian) {
  double total = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double di =
          static_cast<double>(a[i]) - (b == nullptr ? 0.0 : static_cast<double>(b[i]));
      const double dj =
          static_cast<double>(a[j]) - (b == nullptr ? 0.0 : static_cast<double>(b[j]));
      total += di * static_cast<double>(hessian[static_cast<size_t>(i * n + j)]) * dj;
    }
  }
  return total;
}

TEST(QuadraticRows, MatchesTheDirectSum) {
  for (const int64_t n : {1, 8, 100, 256, 300, 520}) {
    const auto problem = reference::make_layer_problem({70, n, 2 * n, 0, 3});
    const auto other = reference::make_layer_problem({70, n, 1, 0, 4});
    std::vector<double> alone(70);
    std::vector<double> difference(70);
    SerialParallel serial;
    quadratic_rows(problem.weights.data(), nullptr, 70, n, problem.hessian.data(), alone.data(),
                   serial);
    quadratic_rows(problem.weights.data(), other.weights.data(), 70, n, problem.hessian.data(),
                   difference.data(), serial);
    for (const int64_t r : {0, 63, 64, 69}) {
      const float* a = problem.weights.data() + r * n;
      const float* b = other.weights.data() + r * n;
      const double expected = direct(a, nullptr, n, problem.hessian);
      EXPECT_NEAR(alone[static_cast<size_t>(r)], expected, 1e-4 * expected) << n << " " << r;
      const double expected_difference = direct(a, b, n, problem.hessian);
      EXPECT_NEAR(difference[static_cast<size_t>(r)], expected_difference,
                  1e-4 * expected_difference)
          << n << " " << r;
    }
  }
}

TEST(QuadraticRows, BitsDependOnNeitherThreadsNorRowRanges) {
  const int64_t n = 300;
  const auto problem = reference::make_layer_problem({200, n, 400, 0, 5});
  std::vector<double> whole(200);
  SerialParallel serial;
  quadratic_rows(problem.weights.data(), nullptr, 200, n, problem.hessian.data(), whole.data(),
                 serial);
  std::vector<double> parts(200);
  const auto pool = make_thread_pool(3);
  for (const int64_t begin : {0, 64, 128}) {
    const int64_t count = begin == 128 ? 72 : 64;
    quadratic_rows(problem.weights.data() + begin * n, nullptr, count, n, problem.hessian.data(),
                   parts.data() + begin, *pool);
  }
  EXPECT_EQ(parts, whole);
}

}  // namespace
}  // namespace rotor
