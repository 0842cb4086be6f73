#include "worker/backend/cpu/cross_entropy.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::f32_tensor;
using testing::make_tensor;
using testing::random_values;

struct LossCase {
  int64_t sequences;
  int64_t seq_len;
  int64_t hidden;
  int64_t vocabulary;
  DType dtype;
  double soft_cap = 0.0;
};

class NextTokenLossTest : public ::testing::TestWithParam<LossCase> {};

TEST_P(NextTokenLossTest, MatchesLogSoftmaxInF64) {
  const LossCase& c = GetParam();
  const int64_t tokens = c.sequences * c.seq_len;
  const std::vector<float> x = random_values(tokens * c.hidden, 1);
  std::vector<float> head = random_values(c.vocabulary * c.hidden, 2);
  std::vector<int32_t> ids;
  std::mt19937 generator(3);
  for (int64_t t = 0; t < tokens; ++t) {
    ids.push_back(static_cast<int32_t>(generator() % static_cast<unsigned>(c.vocabulary)));
  }
  std::vector<std::vector<double>> runs;
  for (const int threads : {1, 2, 3}) {
    const auto backend = make_cpu_backend(threads);
    const auto losses = backend->next_token_losses(
        f32_tensor(*backend, tokens, c.hidden, x),
        make_tensor(*backend, c.dtype, c.vocabulary, c.hidden, head), ids, c.seq_len, c.soft_cap);
    ASSERT_OK(losses);
    ASSERT_EQ(std::ssize(*losses), c.sequences * (c.seq_len - 1));
    runs.push_back(*losses);
  }
  EXPECT_EQ(runs[1], runs[0]);
  EXPECT_EQ(runs[2], runs[0]);

  size_t predicted = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if ((t + 1) % c.seq_len == 0) {
      continue;
    }
    double sum = 0.0;
    double target = 0.0;
    for (int64_t v = 0; v < c.vocabulary; ++v) {
      double logit = 0.0;
      for (int64_t k = 0; k < c.hidden; ++k) {
        logit += static_cast<double>(x[static_cast<size_t>(t * c.hidden + k)]) *
                 static_cast<double>(head[static_cast<size_t>(v * c.hidden + k)]);
      }
      logit = c.soft_cap > 0.0 ? c.soft_cap * std::tanh(logit / c.soft_cap) : logit;
      sum += std::exp(logit);
      target = v == ids[static_cast<size_t>(t + 1)] ? logit : target;
    }
    const double expected = std::log(sum) - target;
    EXPECT_NEAR(runs[0][predicted++], expected, 1e-5 * std::max(1.0, expected)) << "row " << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, NextTokenLossTest,
                         ::testing::Values(LossCase{1, 2, 1, 1, DType::kF32},
                                           LossCase{3, 5, 7, 515, DType::kBf16},
                                           LossCase{2, 131, 9, 1030, DType::kF32},
                                           LossCase{1, 300, 4, 33, DType::kF16},
                                           LossCase{2, 131, 9, 1030, DType::kF32, 3.0}));

}  // namespace
}  // namespace rotor::worker
