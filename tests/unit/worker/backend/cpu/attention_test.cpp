#include "worker/backend/cpu/attention.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::expect_close;
using testing::f32_tensor;
using testing::poisoned;
using testing::random_values;
using testing::same_for_any_threads;
using testing::values_of;

/// Softmax attention in F64, one query at a time.
std::vector<double> reference(const AttentionShape& s, const std::vector<float>& q,
                              const std::vector<float>& k, const std::vector<float>& v,
                              const std::vector<float>& sinks = {}) {
  const int64_t values = s.value_features();
  std::vector<double> out(static_cast<size_t>(s.sequences * s.seq_len * s.heads * values), 0.0);
  const auto at = [&](const std::vector<float>& x, int64_t row, int64_t heads, int64_t head,
                      int64_t d) {
    const auto width = static_cast<int64_t>(x.size()) / (s.sequences * s.seq_len * heads);
    return static_cast<double>(x[static_cast<size_t>((row * heads + head) * width + d)]);
  };
  for (int64_t row = 0; row < s.sequences * s.seq_len; ++row) {
    const int64_t position = row % s.seq_len;
    const int64_t oldest =
        s.sliding_window > 0 ? std::max<int64_t>(0, position - s.sliding_window + 1) : 0;
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t kv = h / (s.heads / s.kv_heads);
      std::vector<double> weights;
      double largest = -std::numeric_limits<double>::infinity();
      for (int64_t p = oldest; p <= position; ++p) {
        double score = 0.0;
        for (int64_t d = 0; d < s.head_dim; ++d) {
          score += at(q, row, s.heads, h, d) * at(k, row - position + p, s.kv_heads, kv, d);
        }
        score *= s.scale;
        weights.push_back(s.soft_cap > 0.0 ? s.soft_cap * std::tanh(score / s.soft_cap) : score);
        largest = std::max(largest, weights.back());
      }
      double sum = 0.0;
      if (!sinks.empty()) {
        const auto sink = static_cast<double>(sinks[static_cast<size_t>(h)]);
        largest = std::max(largest, sink);
        sum = std::exp(sink - largest);
      }
      for (double& weight : weights) {
        weight = std::exp(weight - largest);
        sum += weight;
      }
      for (int64_t p = oldest; p <= position; ++p) {
        for (int64_t d = 0; d < values; ++d) {
          out[static_cast<size_t>((row * s.heads + h) * values + d)] +=
              weights[static_cast<size_t>(p - oldest)] / sum *
              at(v, row - position + p, s.kv_heads, kv, d);
        }
      }
    }
  }
  return out;
}

TEST(AttentionSinks, TakeTheirShareOfEverySoftmax) {
  // Far below the scores, among them, far above them, and beyond where an exponential overflows.
  std::vector<float> sinks{-1e30F, -3.0F, 0.5F, 4.0F, 60.0F, 3e4F};
  for (const int64_t window : {0, 9}) {
    const AttentionShape shape{2, 290, 6, 2, 8, 0.35, window};
    const int64_t tokens = shape.sequences * shape.seq_len;
    const std::vector<float> q = random_values(tokens * 48, 1, 3.0F);
    const std::vector<float> k = random_values(tokens * 16, 2, 3.0F);
    const std::vector<float> v = random_values(tokens * 16, 3);
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
        const Tensor out = poisoned(backend, tokens, 48);
        const Tensor of_heads = testing::make_tensor(backend, dtype, 1, 6, sinks);
        EXPECT_OK(backend.attention(shape, f32_tensor(backend, tokens, 48, q),
                                    f32_tensor(backend, tokens, 16, k),
                                    f32_tensor(backend, tokens, 16, v), of_heads, out));
        return values_of(out);
      });
      expect_close(actual, reference(shape, q, k, v, sinks), 5e-5);
      EXPECT_EQ(actual[5 * 8], 0.0F) << "the last head's sink takes all";
    }
  }
}

TEST(AttentionSinks, AreOneAHead) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = poisoned(*backend, 3, 8);
  const Status status =
      backend->attention({1, 3, 2, 2, 4, 0.5, 0}, x, x, x, f32_tensor(*backend, 1, 3, {1, 2, 3}),
                         poisoned(*backend, 3, 8));
  EXPECT_EQ(status.code(), Code::kInternal);
}

class AttentionTest : public ::testing::TestWithParam<AttentionShape> {};

TEST_P(AttentionTest, MatchesSoftmaxInF64) {
  const AttentionShape& shape = GetParam();
  const int64_t tokens = shape.sequences * shape.seq_len;
  const int64_t q_width = shape.heads * shape.head_dim;
  const int64_t k_width = shape.kv_heads * shape.head_dim;
  const int64_t v_width = shape.kv_heads * shape.value_features();
  // Large enough that the softmax is far from flat and its maximum moves from tile to tile.
  const std::vector<float> q = random_values(tokens * q_width, 1, 3.0F);
  const std::vector<float> k = random_values(tokens * k_width, 2, 3.0F);
  const std::vector<float> v = random_values(tokens * v_width, 3);
  const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
    const Tensor out = poisoned(backend, tokens, shape.heads * shape.value_features());
    const Status status = backend.attention(shape, f32_tensor(backend, tokens, q_width, q),
                                            f32_tensor(backend, tokens, k_width, k),
                                            f32_tensor(backend, tokens, v_width, v), Tensor(), out);
    EXPECT_OK(status);
    return values_of(out);
  });
  expect_close(actual, reference(shape, q, k, v), 5e-5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         ::testing::Values(AttentionShape{1, 1, 1, 1, 2, 1.0, 0},
                                           AttentionShape{3, 5, 4, 2, 8, 0.35, 0},
                                           AttentionShape{2, 130, 3, 1, 16, 0.25, 0},
                                           AttentionShape{1, 700, 2, 2, 20, 0.22, 0},
                                           AttentionShape{1, 257, 2, 1, 64, 0.125, 1},
                                           AttentionShape{2, 300, 2, 1, 16, 0.25, 33},
                                           AttentionShape{1, 650, 1, 1, 8, 0.35, 300},
                                           AttentionShape{1, 40, 2, 1, 8, 0.35, 1000},
                                           AttentionShape{2, 130, 3, 1, 16, 0.25, 0, 5.0},
                                           AttentionShape{1, 650, 1, 1, 8, 0.35, 300, 20.0},
                                           AttentionShape{2, 300, 4, 4, 24, 0.2, 0, 0.0, 16},
                                           AttentionShape{1, 290, 4, 2, 12, 0.3, 40, 0.0, 20}));

TEST(AttentionTest, LargeScoresDoNotOverflow) {
  const auto backend = make_cpu_backend(2);
  const AttentionShape shape{1, 300, 1, 1, 4, 1.0, 0};
  const std::vector<float> q = random_values(1200, 4, 40.0F);
  const std::vector<float> v = random_values(1200, 5);
  const Tensor out = poisoned(*backend, 300, 4);
  ASSERT_OK(backend->attention(shape, f32_tensor(*backend, 300, 4, q),
                               f32_tensor(*backend, 300, 4, q), f32_tensor(*backend, 300, 4, v),
                               Tensor(), out));
  for (const float value : values_of(out)) {
    ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(AttentionTest, ANotANumberStaysVisibleInItsRowsOnly) {
  const auto backend = make_cpu_backend(1);
  const AttentionShape shape{1, 6, 1, 1, 4, 0.5, 0};
  std::vector<float> q = random_values(24, 6);
  const std::vector<float> kv = random_values(24, 7);
  q[3 * 4] = std::numeric_limits<float>::quiet_NaN();
  const Tensor out = poisoned(*backend, 6, 4);
  const Tensor keys = f32_tensor(*backend, 6, 4, kv);
  ASSERT_OK(backend->attention(shape, f32_tensor(*backend, 6, 4, q), keys, keys, Tensor(), out));
  const std::vector<float> values = values_of(out);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::isnan(values[i]), i / 4 == 3) << i;
  }
}

}  // namespace
}  // namespace rotor::worker
