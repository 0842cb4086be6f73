#include "worker/backend/cpu/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/pieces.h"

namespace rotor::worker::cpu {
namespace {

constexpr int64_t kMirrorTile = 64;

}  // namespace

void rms_norm(const float* x, int64_t rows, int64_t cols, const float* weight, double eps,
              float* out, Parallel& parallel) {
  for_ranges(rows, cols, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* in = x + r * cols;
      float* to = out + r * cols;
      const double mean = sum_of_squares(in, cols) / static_cast<double>(cols);
      const auto inverse = static_cast<float>(1.0 / std::sqrt(mean + eps));
      for (int64_t c = 0; c < cols; ++c) {
        to[c] = (in[c] * inverse) * weight[c];
      }
    }
  });
}

void rope(float* x, int64_t rows, int64_t heads, const RopeShape& shape, const float* cos,
          const float* sin, int64_t half, Parallel& parallel) {
  const int64_t stride = shape.interleaved ? 2 : 1;  // from one pair to the next
  const int64_t apart = shape.interleaved ? 1 : half;
  for_ranges(rows, heads * shape.head_dim, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* c = cos + r % shape.seq_len * half;
      const float* s = sin + r % shape.seq_len * half;
      for (int64_t h = 0; h < heads; ++h) {
        float* low = x + (r * heads + h) * shape.head_dim + shape.first;
        float* high = low + apart;
        for (int64_t i = 0; i < half; ++i) {
          const float a = low[i * stride];
          const float b = high[i * stride];
          low[i * stride] = a * c[i] - b * s[i];
          high[i * stride] = b * c[i] + a * s[i];
        }
      }
    }
  });
}

void copy_columns(const float* in, int64_t in_cols, const ColumnRuns& from, float* out,
                  int64_t out_cols, const ColumnRuns& to, int64_t rows, int64_t heads,
                  int64_t width, Parallel& parallel) {
  for_ranges(rows, heads * width, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < heads; ++h) {
        std::copy_n(in + r * in_cols + from.first + h * from.step, width,
                    out + r * out_cols + to.first + h * to.step);
      }
    }
  });
}

void gated_product(const GatedActivation& activation, const float* gate, const float* up,
                   int64_t size, float* out, Parallel& parallel) {
  for_ranges(size, 1, parallel, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    switch (activation.kind) {
      case ActivationKind::kSilu:
        return silu_run(gate + begin, up + begin, count, out + begin);
      case ActivationKind::kGeluTanh:
        return gelu_tanh_run(gate + begin, up + begin, count, out + begin);
      case ActivationKind::kClampedSwiglu:
        return clamped_swiglu_run(gate + begin, up + begin, count, activation.alpha,
                                  activation.limit, out + begin);
    }
  });
}

void add(float* x, const float* y, float scale, int64_t size, Parallel& parallel) {
  for_ranges(size, 1, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      x[i] += y[i] * scale;
    }
  });
}

float max_abs(const float* x, int64_t size, Parallel& parallel) {
  // Without their sign, the bit patterns of floats are ordered as the magnitudes are, infinity
  // after the numbers and NaN after infinity; and a maximum of integers vectorises.
  std::vector<uint32_t> best(static_cast<size_t>(pieces_of(size, kPieceElements)), 0U);
  for_ranges(size, 1, parallel, [&](int64_t begin, int64_t end) {
    uint32_t most = 0;
    for (int64_t i = begin; i < end; ++i) {
      most = std::max(most, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU);
    }
    best[static_cast<size_t>(begin / kPieceElements)] = most;
  });
  const auto most = std::max_element(best.begin(), best.end());
  return most == best.end() ? 0.0F : std::bit_cast<float>(*most);
}

void add_lower(float* dst, const float* src, int64_t n, Parallel& parallel) {
  for_ranges(n, n, parallel, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c <= r; ++c) {
        dst[r * n + c] += src[r * n + c];
      }
    }
  });
}

void add_squared_differences(const float* x, const float* y, int64_t rows, int64_t cols,
                             float* sums, Parallel& parallel) {
  constexpr int64_t kColumns = 64;  // a piece's, row after row
  parallel.for_each((cols + kColumns - 1) / kColumns, [&](int64_t piece) {
    const int64_t begin = piece * kColumns;
    const int64_t end = std::min(begin + kColumns, cols);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t c = begin; c < end; ++c) {
        const float difference = y[row * cols + c] - x[row * cols + c];
        sums[c] += difference * difference;
      }
    }
  });
}

void scale_and_mirror(float* x, int64_t n, float divisor, Parallel& parallel) {
  // A piece owns rows [begin, end) of the lower triangle and the same columns of the upper one.
  parallel.for_each(pieces_of(n, kMirrorTile), [&](int64_t piece) {
    const int64_t begin = piece * kMirrorTile;
    const int64_t end = std::min(n, begin + kMirrorTile);
    for (int64_t left = 0; left < end; left += kMirrorTile) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t c = left; c < std::min(left + kMirrorTile, r + 1); ++c) {
          const float value = x[r * n + c] / divisor;
          x[r * n + c] = value;
          x[c * n + r] = value;
        }
      }
    }
  });
}

}  // namespace rotor::worker::cpu
