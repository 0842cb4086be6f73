#include "worker/backend/cpu/delta_net.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::expect_close;
using testing::f32_tensor;
using testing::make_tensor;
using testing::poisoned;
using testing::random_values;
using testing::same_for_any_threads;
using testing::values_of;

double at(const std::vector<float>& values, int64_t index) {
  return static_cast<double>(values[static_cast<size_t>(index)]);
}

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

TEST(DeltaNetTest, ConvolvesEachSequenceByItself) {
  const int64_t seq_len = 6;
  const int64_t rows = 3 * seq_len;
  const int64_t cols = 5;
  for (const int64_t taps : {1, 4, 9}) {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      const std::vector<float> x = random_values(rows * cols, 1);
      std::vector<float> weight = random_values(cols * taps, 2);
      const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
        const Tensor out = poisoned(backend, rows, cols);
        EXPECT_OK(backend.causal_convolution(f32_tensor(backend, rows, cols, x),
                                             make_tensor(backend, dtype, cols, taps, weight),
                                             seq_len, out));
        return values_of(out);
      });
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
          double sum = 0.0;
          for (int64_t back = 0; back < taps && back <= r % seq_len; ++back) {
            sum += at(weight, c * taps + taps - 1 - back) * at(x, (r - back) * cols + c);
          }
          expected.push_back(sum * sigmoid(sum));
        }
      }
      expect_close(actual, expected, 1e-5);
    }
  }
}

struct DeltaCase {
  DeltaShape shape;
  std::vector<float> mixed, beta, alpha, decay, step;
};

DeltaCase make_case() {
  DeltaCase made;
  made.shape = {.sequences = 2,
                .seq_len = 13,
                .key_heads = 2,
                .value_heads = 6,
                .key_dim = 5,
                .value_dim = 7};
  const int64_t tokens = made.shape.sequences * made.shape.seq_len;
  made.mixed = random_values(tokens * made.shape.mixed_features(), 1);
  made.beta = random_values(tokens * 6, 2);
  made.alpha = random_values(tokens * 6, 3);
  made.decay = random_values(6, 4);
  made.step = random_values(6, 5);
  return made;
}

/// By the formula, a token at a time, in F64.
std::vector<double> expected_of(const DeltaCase& made) {
  const DeltaShape& s = made.shape;
  std::vector<double> out(static_cast<size_t>(s.sequences * s.seq_len * s.value_features()));
  for (int64_t sequence = 0; sequence < s.sequences; ++sequence) {
    for (int64_t head = 0; head < s.value_heads; ++head) {
      std::vector<double> state(static_cast<size_t>(s.key_dim * s.value_dim), 0.0);
      for (int64_t t = 0; t < s.seq_len; ++t) {
        const int64_t row = sequence * s.seq_len + t;
        const int64_t q = row * s.mixed_features() + head / 3 * s.key_dim;
        const int64_t k = q + s.key_features();
        const int64_t v = row * s.mixed_features() + 2 * s.key_features() + head * s.value_dim;
        double q_squares = 1e-6;
        double k_squares = 1e-6;
        for (int64_t i = 0; i < s.key_dim; ++i) {
          q_squares += at(made.mixed, q + i) * at(made.mixed, q + i);
          k_squares += at(made.mixed, k + i) * at(made.mixed, k + i);
        }
        const double step =
            std::log1p(std::exp(at(made.alpha, row * 6 + head) + at(made.step, head)));
        const double kept = std::exp(-std::exp(at(made.decay, head)) * step);
        const double beta = sigmoid(at(made.beta, row * 6 + head));
        for (int64_t j = 0; j < s.value_dim; ++j) {
          const auto cell = [&](int64_t i) -> double& {
            return state[static_cast<size_t>(i * s.value_dim + j)];
          };
          double held = 0.0;
          for (int64_t i = 0; i < s.key_dim; ++i) {
            cell(i) *= kept;
            held += at(made.mixed, k + i) / std::sqrt(k_squares) * cell(i);
          }
          double sum = 0.0;
          for (int64_t i = 0; i < s.key_dim; ++i) {
            cell(i) += at(made.mixed, k + i) / std::sqrt(k_squares) * beta *
                       (at(made.mixed, v + j) - held);
            sum += at(made.mixed, q + i) / std::sqrt(q_squares * static_cast<double>(s.key_dim)) *
                   cell(i);
          }
          out[static_cast<size_t>(row * s.value_features() + head * s.value_dim + j)] = sum;
        }
      }
    }
  }
  return out;
}

TEST(DeltaNetTest, GoesFromTokenToToken) {
  DeltaCase made = make_case();
  const DeltaShape& s = made.shape;
  const int64_t tokens = s.sequences * s.seq_len;
  const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
    const Tensor out = poisoned(backend, tokens, s.value_features());
    EXPECT_OK(backend.delta_rule(
        s, f32_tensor(backend, tokens, s.mixed_features(), made.mixed),
        f32_tensor(backend, tokens, 6, made.beta), f32_tensor(backend, tokens, 6, made.alpha),
        f32_tensor(backend, 1, 6, made.decay), f32_tensor(backend, 1, 6, made.step), out));
    return values_of(out);
  });
  expect_close(actual, expected_of(made), 1e-5);
}

TEST(DeltaNetTest, GatesByColumnOrByRow) {
  const int64_t rows = 9;
  const int64_t cols = 11;
  for (const int64_t gate_cols : {cols, int64_t{1}}) {
    const std::vector<float> x = random_values(rows * cols, 1);
    const std::vector<float> gate = random_values(rows * gate_cols, 2);
    const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
      const Tensor gated = f32_tensor(backend, rows, cols, x);
      EXPECT_OK(backend.sigmoid_gate(gated, f32_tensor(backend, rows, gate_cols, gate)));
      return values_of(gated);
    });
    std::vector<double> expected;
    for (int64_t i = 0; i < rows * cols; ++i) {
      expected.push_back(at(x, i) * sigmoid(at(gate, gate_cols == 1 ? i / cols : i)));
    }
    expect_close(actual, expected, 1e-5);
  }
}

TEST(DeltaNetTest, RefusesOperandsThatDoNotFit) {
  const std::unique_ptr<Backend> backend = make_cpu_backend(1);
  const Tensor x = poisoned(*backend, 4, 6);
  EXPECT_FAILS(backend->sigmoid_gate(x, poisoned(*backend, 4, 2)), Code::kInternal, "",
               "sigmoid_gate");
  EXPECT_FAILS(
      backend->causal_convolution(x, poisoned(*backend, 5, 4), 4, poisoned(*backend, 4, 6)),
      Code::kInternal, "", "causal_convolution");
  const DeltaShape shape{
      .seq_len = 4, .key_heads = 2, .value_heads = 3, .key_dim = 1, .value_dim = 1};
  EXPECT_FAILS(backend->delta_rule(shape, x, x, x, x, x, x), Code::kInternal, "", "delta_rule");
}

}  // namespace
}  // namespace rotor::worker
