#include "worker/backend/cpu/delta_net.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/delta_net_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using rotor::testing::expected_convolution;
using rotor::testing::expected_delta_rule;
using rotor::testing::expected_sigmoid_gate;
using testing::expect_close;
using testing::f32_tensor;
using testing::make_tensor;
using testing::poisoned;
using testing::random_values;
using testing::same_for_any_threads;
using testing::values_of;

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
      expect_close(actual, expected_convolution(x, rows, cols, seq_len, weight, taps), 1e-5);
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
  expect_close(actual,
               expected_delta_rule(s, made.mixed, made.beta, made.alpha, made.decay, made.step),
               1e-5);
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
    expect_close(actual, expected_sigmoid_gate(x, cols, gate, gate_cols), 1e-5);
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
