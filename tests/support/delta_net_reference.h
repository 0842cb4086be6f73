// What the operations of a gated delta net give, by their formulas (worker/backend/backend.h) a
// token at a time, in F64. One reference for every backend that is tested.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace rotor::testing {

namespace reference {

inline double at(const std::vector<float>& values, int64_t index) {
  return static_cast<double>(values[static_cast<size_t>(index)]);
}

inline double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

/// The length of a head's row, as the norm of queries and keys has it.
inline double length(const std::vector<float>& values, int64_t first, int64_t count) {
  double squares = 1e-6;
  for (int64_t i = first; i < first + count; ++i) {
    squares += at(values, i) * at(values, i);
  }
  return std::sqrt(squares);
}

}  // namespace reference

/// x [rows, cols] of sequences of seq_len rows, weight [cols, taps]; returns [rows, cols].
inline std::vector<double> expected_convolution(const std::vector<float>& x, int64_t rows,
                                                int64_t cols, int64_t seq_len,
                                                const std::vector<float>& weight, int64_t taps) {
  using namespace reference;
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
  return expected;
}

/// The recurrence of one head of values over one sequence. `Shape` has the counts of
/// worker::DeltaShape; mixed [tokens, q + k + v], beta and alpha [tokens, value heads], decay and
/// step [value heads]; returns [tokens, v].
template <typename Shape>
std::vector<double> expected_delta_rule(const Shape& s, const std::vector<float>& mixed,
                                        const std::vector<float>& beta,
                                        const std::vector<float>& alpha,
                                        const std::vector<float>& decay,
                                        const std::vector<float>& step) {
  using namespace reference;
  const int64_t keys = s.key_heads * s.key_dim;
  const int64_t values = s.value_heads * s.value_dim;
  const int64_t cols = 2 * keys + values;
  std::vector<double> out(static_cast<size_t>(s.sequences * s.seq_len * values));
  for (int64_t piece = 0; piece < s.sequences * s.value_heads; ++piece) {
    const int64_t head = piece % s.value_heads;
    std::vector<double> state(static_cast<size_t>(s.key_dim * s.value_dim), 0.0);
    for (int64_t t = 0; t < s.seq_len; ++t) {
      const int64_t row = piece / s.value_heads * s.seq_len + t;
      const int64_t q = row * cols + head / (s.value_heads / s.key_heads) * s.key_dim;
      const int64_t k = q + keys;
      const double q_length =
          length(mixed, q, s.key_dim) * std::sqrt(static_cast<double>(s.key_dim));
      const double k_length = length(mixed, k, s.key_dim);
      const int64_t gate = row * s.value_heads + head;
      const double kept = std::exp(-std::exp(at(decay, head)) *
                                   std::log1p(std::exp(at(alpha, gate) + at(step, head))));
      for (int64_t j = 0; j < s.value_dim; ++j) {
        double* column = state.data() + j * s.key_dim;
        double held = 0.0;
        for (int64_t i = 0; i < s.key_dim; ++i) {
          column[i] *= kept;
          held += at(mixed, k + i) / k_length * column[i];
        }
        const double value = at(mixed, row * cols + 2 * keys + head * s.value_dim + j);
        const double change = sigmoid(at(beta, gate)) * (value - held);
        double sum = 0.0;
        for (int64_t i = 0; i < s.key_dim; ++i) {
          column[i] += at(mixed, k + i) / k_length * change;
          sum += at(mixed, q + i) / q_length * column[i];
        }
        out[static_cast<size_t>(row * values + head * s.value_dim + j)] = sum;
      }
    }
  }
  return out;
}

/// x [rows, cols] with a gate for each element, or (gate_cols 1) for each row.
inline std::vector<double> expected_sigmoid_gate(const std::vector<float>& x, int64_t cols,
                                                 const std::vector<float>& gate,
                                                 int64_t gate_cols) {
  using namespace reference;
  std::vector<double> expected;
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    expected.push_back(at(x, i) * sigmoid(at(gate, gate_cols == 1 ? i / cols : i)));
  }
  return expected;
}

}  // namespace rotor::testing
