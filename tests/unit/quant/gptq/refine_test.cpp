#include "quant/gptq/refine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "quant/format/codes.h"
#include "tests/unit/quant/reference/solved_layer.h"

namespace rotor {
namespace {

using reference::solve;
using reference::Solved;

std::vector<uint8_t> refine(const Solved& s, const RefineOptions& options, Parallel& parallel) {
  std::vector<uint8_t> codes = s.gptq;
  EXPECT_TRUE(refine_rows(s.problem.weights.data(), s.rows, s.cols, s.scheme, s.effective.data(),
                          s.problem.hessian.data(), options, codes.data(), parallel)
                  .ok());
  return codes;
}

std::vector<uint8_t> refine(const Solved& s, const RefineOptions& options) {
  SerialParallel serial;
  return refine(s, options, serial);
}

/// The objective that refinement descends on: the Hessian with its damping.
reference::TextbookProblem damped_problem(const Solved& s, double damping) {
  reference::TextbookProblem problem = textbook(s, true);
  const auto n = static_cast<size_t>(s.cols);
  double sum = 0.0;
  double live = 0.0;
  for (size_t c = 0; c < n; ++c) {
    sum += problem.hessian[c * (n + 1)];
    live += problem.hessian[c * (n + 1)] > 0.0 ? 1.0 : 0.0;
  }
  for (size_t c = 0; c < n; ++c) {
    problem.hessian[c * (n + 1)] += damping * sum / live;
  }
  return problem;
}

TEST(RefineRows, LowersTheErrorOfEveryFormatAndShape) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    for (const reference::ProblemShape& shape :
         {reference::ProblemShape{20, 160, 500, 0, 1}, reference::ProblemShape{66, 288, 700, 4, 2},
          reference::ProblemShape{1, 32, 100, 0, 3}, reference::ProblemShape{8, 96, 30, 0, 4}}) {
      const Solved s = solve(shape, format);
      const reference::TextbookProblem problem = damped_problem(s, 0.01);
      const double before = textbook_error(problem, values_of(s, s.gptq));
      const double one = textbook_error(problem, values_of(s, refine(s, {1, 0.01})));
      const double three = textbook_error(problem, values_of(s, refine(s, {3, 0.01})));
      EXPECT_LE(one, before * 1.00001);
      EXPECT_LE(three, one * 1.00001);
      if (shape.rows > 1) {
        EXPECT_LT(three, before);
      }
    }
  }
}

TEST(RefineRows, EndsWhereNoSingleCodeCanImprove) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const Solved s = solve({6, 96, 300, 1, 5}, format);
    const reference::TextbookProblem problem = damped_problem(s, 0.01);
    const std::vector<double> values = values_of(s, refine(s, {100, 0.01}));
    const auto n = static_cast<size_t>(s.cols);
    for (size_t r = 0; r < static_cast<size_t>(s.rows); ++r) {
      std::vector<double> d(n);
      for (size_t c = 0; c < n; ++c) {
        d[c] = problem.weights[r * n + c] - values[r * n + c] * problem.scales[r * n + c];
      }
      for (size_t c = 0; c < n; ++c) {
        double gradient = 0.0;
        for (size_t j = 0; j < n; ++j) {
          gradient += problem.hessian[c * n + j] * d[j];
        }
        const double curvature = problem.hessian[c * (n + 1)];
        for (const double other : problem.values) {
          const double move = (other - values[r * n + c]) * problem.scales[r * n + c];
          const double change = move * move * curvature - 2.0 * move * gradient;
          EXPECT_GE(change, -1e-4 * move * move * curvature) << r << " " << c << " " << other;
        }
      }
    }
  }
}

TEST(RefineRows, BitsDependOnNeitherThreadsNorRowRanges) {
  const int64_t cols = 416;
  const Solved s = solve({200, cols, 600, 1, 6}, Format::kNvfp4);
  const std::vector<uint8_t> whole = refine(s, {});
  const auto pool = make_thread_pool(3);
  std::vector<uint8_t> parts = s.gptq;
  for (const int64_t begin : {0, 64, 128}) {
    const int64_t count = begin == 128 ? 72 : 64;
    ASSERT_TRUE(refine_rows(s.problem.weights.data() + begin * cols, count, cols, s.scheme,
                            s.effective.data() + begin * cols / s.scheme.group_size,
                            s.problem.hessian.data(), {}, parts.data() + begin * cols / 2, *pool)
                    .ok());
  }
  EXPECT_EQ(parts, whole);
}

TEST(RefineRows, RefusesBadOptionsAndWeights) {
  Solved s = solve({2, 32, 64, 0, 7}, Format::kMxfp4);
  SerialParallel serial;
  const auto status = [&](const RefineOptions& options) {
    return refine_rows(s.problem.weights.data(), 2, 32, s.scheme, s.effective.data(),
                       s.problem.hessian.data(), options, s.gptq.data(), serial);
  };
  EXPECT_EQ(status({0, 0.01}).reason(), "BAD_REFINEMENT");
  EXPECT_EQ(status({1, 0.0}).reason(), "BAD_REFINEMENT");
  s.problem.weights[33] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(status({}).details().at("column"), "1");
}

}  // namespace
}  // namespace rotor
