#include "worker/backend/cpu/delta_net.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/pieces.h"

namespace rotor::worker::cpu {
namespace {

constexpr double kLengthEps = 1e-6;  // as the models' own code has it

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

float softplus(float x) {
  return x > 20.0F ? x : std::log1p(std::exp(x));
}

/// out = x / sqrt(|x|^2 + eps) * scale.
void to_length(const float* x, int64_t count, float scale, float* out) {
  const auto inverse =
      static_cast<float>(1.0 / std::sqrt(sum_of_squares(x, count) + kLengthEps)) * scale;
  std::transform(x, x + count, out, [&](float value) { return value * inverse; });
}

/// One value head of one sequence.
class Head {
 public:
  explicit Head(const DeltaShape& shape)
      : shape_(shape),
        key_(static_cast<size_t>(shape.key_dim)),
        query_(key_.size()),
        change_(static_cast<size_t>(shape.value_dim)),
        state_(key_.size() * change_.size(), 0.0F) {}

  void step(const float* query, const float* key, const float* value, float kept, float beta,
            float* out) {
    to_length(key, shape_.key_dim, 1.0F, key_.data());
    to_length(query, shape_.key_dim, 1.0F / std::sqrt(static_cast<float>(shape_.key_dim)),
              query_.data());
    const size_t values = change_.size();
    std::fill(change_.begin(), change_.end(), 0.0F);
    for (size_t k = 0; k < key_.size(); ++k) {
      float* row = state_.data() + k * values;
      for (size_t v = 0; v < values; ++v) {
        row[v] *= kept;
        change_[v] += key_[k] * row[v];
      }
    }
    for (size_t v = 0; v < values; ++v) {
      change_[v] = beta * (value[v] - change_[v]);
    }
    std::fill(out, out + values, 0.0F);
    for (size_t k = 0; k < key_.size(); ++k) {
      float* row = state_.data() + k * values;
      for (size_t v = 0; v < values; ++v) {
        row[v] += key_[k] * change_[v];
        out[v] += query_[k] * row[v];
      }
    }
  }

 private:
  const DeltaShape& shape_;
  std::vector<float> key_;
  std::vector<float> query_;
  std::vector<float> change_;
  std::vector<float> state_;  // [key_dim, value_dim]
};

}  // namespace

void causal_convolution(const float* x, int64_t rows, int64_t cols, int64_t seq_len,
                        const float* weight, int64_t taps, float* out, Parallel& parallel) {
  for_ranges(rows, cols * taps, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t first =
          std::max<int64_t>(0, taps - 1 - r % seq_len);  // tap within the sequence
      float* to = out + r * cols;
      std::fill(to, to + cols, 0.0F);
      for (int64_t tap = first; tap < taps; ++tap) {
        const float* from = x + (r - taps + 1 + tap) * cols;
        for (int64_t c = 0; c < cols; ++c) {
          to[c] += weight[c * taps + tap] * from[c];
        }
      }
      for (int64_t c = 0; c < cols; ++c) {
        to[c] *= sigmoid(to[c]);
      }
    }
  });
}

void delta_rule(const DeltaShape& shape, const float* mixed, const float* beta, const float* alpha,
                const DeltaVectors& vectors, float* out, Parallel& parallel) {
  const int64_t heads = shape.value_heads;
  const int64_t cols = shape.mixed_features();
  parallel.for_each(shape.sequences * heads, [&](int64_t piece) {
    const int64_t head = piece % heads;
    const int64_t key_head = head / (heads / shape.key_heads);
    const float rate = -std::exp(vectors.decay[head]);
    Head state(shape);
    for (int64_t t = 0; t < shape.seq_len; ++t) {
      const int64_t row = piece / heads * shape.seq_len + t;
      const float* query = mixed + row * cols + key_head * shape.key_dim;
      const float* key = query + shape.key_features();
      const float* value = mixed + row * cols + 2 * shape.key_features() + head * shape.value_dim;
      const float kept = std::exp(rate * softplus(alpha[row * heads + head] + vectors.step[head]));
      state.step(query, key, value, kept, sigmoid(beta[row * heads + head]),
                 out + (row * heads + head) * shape.value_dim);
    }
  });
}

void sigmoid_gate(float* x, int64_t rows, int64_t cols, const float* gate, int64_t gate_cols,
                  Parallel& parallel) {
  const int64_t step = gate_cols == 1 ? 0 : 1;
  for_ranges(rows, cols, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        x[r * cols + c] *= sigmoid(gate[r * gate_cols + c * step]);
      }
    }
  });
}

}  // namespace rotor::worker::cpu
