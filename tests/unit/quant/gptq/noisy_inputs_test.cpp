#include "quant/gptq/noisy_inputs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "quant/gptq/factor.h"
#include "tests/unit/quant/reference/solved_layer.h"

namespace rotor {
namespace {

constexpr double kDamping = 0.01;

std::vector<float> noise_of(int64_t cols) {
  std::vector<float> noise;
  for (int64_t c = 0; c < cols; ++c) {
    noise.push_back(0.002F * static_cast<float>(1 + c % 7));
  }
  return noise;
}

/// x a = b by Gaussian elimination, a [n, n] symmetric and positive definite, x and b rows.
std::vector<double> divided(std::vector<double> b, std::vector<double> a, size_t n) {
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
      }
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) {
      b[k] -= a[k * n + j] * b[j];
    }
    b[k] /= a[k * n + k];
  }
  return b;
}

struct Fitted {
  reference::LayerProblem problem;
  std::vector<float> noise;
  std::vector<float> upper;
  std::vector<int32_t> order;
  std::vector<uint8_t> dead;

  SolveFactor factor() const { return {upper.data(), order.data(), dead.data()}; }
};

/// A layer whose Hessian has its noise on the diagonal, factorized.
Fitted make(const reference::ProblemShape& shape) {
  const reference::Solved solved = reference::solve(shape, Format::kNvfp4);
  const auto n = static_cast<size_t>(solved.cols);
  Fitted fitted{solved.problem, noise_of(solved.cols), std::vector<float>(n * n),
                std::vector<int32_t>(n), std::vector<uint8_t>(n)};
  for (size_t c = 0; c < n; ++c) {
    float& power = fitted.problem.hessian[c * (n + 1)];
    fitted.noise[c] = power > 0.0F ? fitted.noise[c] * power : 0.0F;  // a dead input has no noise
    power += fitted.noise[c];
  }
  SerialParallel serial;
  EXPECT_TRUE(factorize_hessian(fitted.problem.hessian.data(), solved.cols, {kDamping, true},
                                fitted.upper.data(), fitted.order.data(), fitted.dead.data(),
                                serial)
                  .ok());
  return fitted;
}

TEST(FitNoisyInputs, IsTheRegressionInF64) {
  for (const reference::ProblemShape& shape :
       {reference::ProblemShape{66, 96, 400, 2, 1}, reference::ProblemShape{3, 160, 700, 0, 2}}) {
    const Fitted fitted = make(shape);
    const auto n = static_cast<size_t>(shape.cols);
    std::vector<double> damped(fitted.problem.hessian.begin(), fitted.problem.hessian.end());
    double mean = 0.0;
    double live = 0.0;
    for (size_t c = 0; c < n; ++c) {
      mean += damped[c * (n + 1)];
      live += damped[c * (n + 1)] > 0.0 ? 1.0 : 0.0;
    }
    mean /= live;
    for (size_t c = 0; c < n; ++c) {
      double& diagonal = damped[c * (n + 1)];
      diagonal = (diagonal > 0.0 ? diagonal : mean) + kDamping * mean;
    }
    std::vector<float> w = fitted.problem.weights;
    SerialParallel serial;
    fit_noisy_inputs(w.data(), shape.rows, shape.cols, fitted.noise.data(), fitted.factor(),
                     serial);
    for (int64_t r = 0; r < shape.rows; ++r) {
      const float* before = fitted.problem.weights.data() + r * shape.cols;
      std::vector<double> shift;
      for (size_t c = 0; c < n; ++c) {
        shift.push_back(static_cast<double>(before[c]) * static_cast<double>(fitted.noise[c]));
      }
      shift = divided(std::move(shift), damped, n);
      for (size_t c = 0; c < n; ++c) {
        const double want = static_cast<double>(before[c]) - shift[c];
        EXPECT_NEAR(w[static_cast<size_t>(r) * n + c], want, 2e-4 * (std::abs(want) + 0.01))
            << r << " " << c;
      }
    }
  }
}

TEST(FitNoisyInputs, NoNoiseLeavesTheWeightAsItIs) {
  Fitted fitted = make({5, 64, 300, 1, 3});
  std::fill(fitted.noise.begin(), fitted.noise.end(), 0.0F);
  std::vector<float> w = fitted.problem.weights;
  SerialParallel serial;
  fit_noisy_inputs(w.data(), 5, 64, fitted.noise.data(), fitted.factor(), serial);
  EXPECT_EQ(w, fitted.problem.weights);
}

TEST(FitNoisyInputs, BitsDependOnNeitherThreadsNorRowRanges) {
  constexpr int64_t kCols = 96;
  const Fitted fitted = make({200, kCols, 400, 1, 4});
  std::vector<float> whole = fitted.problem.weights;
  std::vector<float> parts = whole;
  const auto pool = make_thread_pool(3);
  SerialParallel serial;
  fit_noisy_inputs(whole.data(), 200, kCols, fitted.noise.data(), fitted.factor(), serial);
  for (const int64_t begin : {0, 64, 128}) {
    fit_noisy_inputs(parts.data() + begin * kCols, begin == 128 ? 72 : 64, kCols,
                     fitted.noise.data(), fitted.factor(), *pool);
  }
  EXPECT_EQ(parts, whole);
}

}  // namespace
}  // namespace rotor
