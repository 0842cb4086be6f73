#include "quant/gptq/solve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "quant/format/codes.h"
#include "tests/unit/quant/reference/problems.h"
#include "tests/unit/quant/reference/solved_layer.h"
#include "tests/unit/quant/reference/textbook_gptq.h"

namespace rotor {
namespace {

using reference::solve;
using reference::Solved;
using reference::textbook;
using reference::values_of;

int64_t rows_that_differ(const std::vector<double>& a, const std::vector<double>& b, int64_t cols) {
  int64_t count = 0;
  for (auto x = a.begin(), y = b.begin(); x != a.end(); x += cols, y += cols) {
    count += std::equal(x, x + cols, y) ? 0 : 1;
  }
  return count;
}

struct Case {
  reference::ProblemShape shape;
  Format format;
  bool act_order;
};

class AgainstTextbook : public testing::TestWithParam<Case> {};

// A weight so close to a tie that F32 and F64 round it apart changes the rest of its row; such rows
// are few, and cost next to nothing.
TEST_P(AgainstTextbook, CodesAgreeAndErrorIsTheSame) {
  const Case& c = GetParam();
  const Solved s = solve(c.shape, c.format, c.act_order);
  const reference::TextbookProblem problem = textbook(s, c.act_order);
  const std::vector<double> expected = reference::textbook_gptq(problem);
  const std::vector<double> got = values_of(s, s.gptq);
  EXPECT_LE(rows_that_differ(got, expected, s.cols), 1 + s.rows / 20);
  const double expected_error = reference::textbook_error(problem, expected);
  const double error = reference::textbook_error(problem, got);
  EXPECT_NEAR(error, expected_error, 5e-3 * expected_error);
  EXPECT_LT(error, 0.9 * reference::textbook_error(problem, values_of(s, s.nearest)));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AgainstTextbook,
    testing::Values(Case{{20, 96, 400, 0, 1}, Format::kNvfp4, true},
                    Case{{20, 96, 400, 0, 2}, Format::kNvfp4, false},
                    Case{{70, 160, 500, 0, 3}, Format::kNvfp4, true},
                    Case{{20, 96, 400, 0, 4}, Format::kMxfp4, true},
                    Case{{20, 288, 700, 0, 5}, Format::kMxfp4, false},
                    Case{{20, 96, 400, 0, 6}, Format::kInt4, true},
                    Case{{20, 160, 400, 0, 7}, Format::kInt4, false},
                    Case{{20, 160, 60, 0, 8}, Format::kNvfp4, true},   // lacks rank
                    Case{{20, 160, 400, 9, 9}, Format::kNvfp4, true},  // dead inputs
                    Case{{1, 272, 700, 2, 10}, Format::kNvfp4, true},  // one row
                    Case{{65, 32, 100, 0, 11}, Format::kMxfp4, true},  // one group
                    Case{{4, 16, 100, 0, 12}, Format::kNvfp4, true}));

TEST(SolveRows, BeatsRoundingOnEveryRandomLayer) {
  for (unsigned seed = 20; seed < 40; ++seed) {
    const auto format = static_cast<Format>(seed % 3);
    const Solved s = solve({16, 64, 200, seed % 2, seed}, format);
    const reference::TextbookProblem problem = textbook(s, true);
    EXPECT_LT(reference::textbook_error(problem, values_of(s, s.gptq)),
              reference::textbook_error(problem, values_of(s, s.nearest)))
        << seed;
  }
}

TEST(SolveRows, BitsDependOnNeitherThreadsNorRowRanges) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const int64_t cols = 416;
    const Solved s = solve({200, cols, 600, 1, 50}, format);
    const int64_t groups = cols / s.scheme.group_size;
    std::vector<uint8_t> parts(s.gptq.size());
    const auto pool = make_thread_pool(3);
    for (const int64_t begin : {0, 64, 128}) {
      const int64_t count = begin == 128 ? 72 : 64;
      ASSERT_TRUE(solve_rows(s.problem.weights.data() + begin * cols, count, cols, s.scheme,
                             s.effective.data() + begin * groups, s.factor(),
                             parts.data() + begin * cols / 2, *pool)
                      .ok());
    }
    EXPECT_EQ(parts, s.gptq);
  }
}

TEST(SolveRows, RoundsDeadColumnsToNearest) {
  const Solved s = solve({10, 64, 200, 5, 60}, Format::kNvfp4);
  const std::vector<double> got = values_of(s, s.gptq);
  const std::vector<double> nearest = values_of(s, s.nearest);
  EXPECT_EQ(std::count(s.dead.begin(), s.dead.end(), 1), 5);
  for (size_t i = 0; i < got.size(); ++i) {
    if (s.dead[i % 64] != 0) {
      EXPECT_EQ(got[i], nearest[i]);
    }
  }
}

TEST(SolveRows, ADiagonalHessianIsRoundingToNearest) {
  auto problem = reference::make_layer_problem({66, 160, 1, 0, 61});
  std::fill(problem.hessian.begin(), problem.hessian.end(), 0.0F);
  for (size_t i = 0; i < 160; ++i) {
    problem.hessian[i * 161] = static_cast<float>(1 + i % 7);
  }
  for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
    const Solved s = solve(problem, 66, 160, format, true);
    EXPECT_EQ(s.gptq, s.nearest);
  }
}

TEST(SolveRows, ZerosConstantsAndExtremesStayFinite) {
  const auto base = reference::make_layer_problem({4, 64, 200, 0, 62});
  for (const float magnitude : {0.0F, 1e-30F, 1e25F}) {
    auto problem = base;
    for (size_t i = 0; i < problem.weights.size(); ++i) {
      // The second row is constant.
      problem.weights[i] = (i / 64 == 1 ? 1.0F : problem.weights[i]) * magnitude;
    }
    for (const Format format : {Format::kNvfp4, Format::kMxfp4, Format::kInt4}) {
      const Solved s = solve(problem, 4, 64, format, true);
      std::vector<float> out(s.problem.weights.size());
      SerialParallel serial;
      dequantize_codes(s.scheme, s.gptq.data(), s.effective.data(), 4, 64, out.data(), serial);
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_LE(std::abs(out[i]), 3.0F * magnitude) << magnitude;
      }
    }
  }
}

TEST(SolveRows, NamesTheWeightThatIsNotFinite) {
  auto problem = reference::make_layer_problem({3, 32, 64, 0, 63});
  Solved s = solve(problem, 3, 32, Format::kMxfp4, true);
  problem.weights[2 * 32 + 7] = std::numeric_limits<float>::quiet_NaN();
  SerialParallel serial;
  const Status by_gptq = solve_rows(problem.weights.data(), 3, 32, s.scheme, s.effective.data(),
                                    s.factor(), s.gptq.data(), serial);
  const Status by_rounding = round_rows(problem.weights.data(), 3, 32, s.scheme, s.effective.data(),
                                        s.nearest.data(), serial);
  for (const Status& status : {by_gptq, by_rounding}) {
    EXPECT_EQ(status.reason(), "NOT_FINITE");
    EXPECT_EQ(status.details().at("row"), "2");
    EXPECT_EQ(status.details().at("column"), "7");
  }
}

}  // namespace
}  // namespace rotor
