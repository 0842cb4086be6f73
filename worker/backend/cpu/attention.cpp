#include "worker/backend/cpu/attention.h"

#include <cblas.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "worker/backend/cpu/lanes.h"

namespace rotor::worker::cpu {
namespace {

constexpr int64_t kQueryTile = 128;
constexpr int64_t kKeyTile = 256;

blasint blas(int64_t value) {
  return static_cast<blasint>(value);
}

/// The running softmax of a tile of queries.
struct Running {
  std::array<float, kQueryTile> max;
  std::array<double, kQueryTile> sum;
};

/// Turns a row of scores into exponentials and what it had before into the new scale. Columns
/// outside [begin, end) are masked. Returns the factor for what was summed before.
float absorb_row(float* scores, int64_t width, int64_t begin, int64_t end, float& max,
                 double& sum) {
  std::fill(scores, scores + begin, 0.0F);
  std::fill(scores + end, scores + width, 0.0F);
  if (begin == end) {
    return 1.0F;
  }
  const float new_max = std::max(max, max_of(scores + begin, end - begin));
  const float factor = exp_approx(max - new_max);
  sum = sum * static_cast<double>(factor) + exp_and_sum(scores + begin, end - begin, new_max);
  max = new_max;
  return factor;
}

/// Queries [first, first + rows) of one head of one sequence. q, k, v, out point at the head's
/// first column of the sequence's first row; `sink` is one more score, -infinity for none.
void attend_tile(const AttentionShape& shape, int64_t first, int64_t rows, const float* q,
                 const float* k, const float* v, double sink, float* out, float* scores) {
  const int64_t dim = shape.head_dim;
  const int64_t values = shape.value_features();
  const int64_t q_stride = shape.heads * dim;
  const int64_t k_stride = shape.kv_heads * dim;
  const int64_t v_stride = shape.kv_heads * values;
  const int64_t out_stride = shape.heads * values;
  const int64_t window = shape.sliding_window > 0 ? shape.sliding_window : shape.seq_len;
  Running running;
  running.max.fill(-std::numeric_limits<float>::infinity());
  running.sum.fill(0.0);

  const int64_t keys_begin = std::max<int64_t>(0, first - window + 1);
  const int64_t keys_end = first + rows;
  for (int64_t key = keys_begin; key < keys_end; key += kKeyTile) {
    const int64_t width = std::min(kKeyTile, keys_end - key);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas(rows), blas(width), blas(dim),
                static_cast<float>(shape.scale), q + first * q_stride, blas(q_stride),
                k + key * k_stride, blas(k_stride), 0.0F, scores, blas(width));
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t position = first + r;
      const int64_t end = std::clamp<int64_t>(position + 1 - key, 0, width);
      const int64_t begin = std::clamp<int64_t>(position - window + 1 - key, 0, end);
      const auto at = static_cast<size_t>(r);
      if (shape.soft_cap > 0.0) {
        soft_cap_run(scores + r * width + begin, end - begin, static_cast<float>(shape.soft_cap));
      }
      const float factor =
          absorb_row(scores + r * width, width, begin, end, running.max[at], running.sum[at]);
      if (key != keys_begin && factor != 1.0F) {
        float* row = out + position * out_stride;
        for (int64_t d = 0; d < values; ++d) {
          row[d] *= factor;
        }
      }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(rows), blas(values), blas(width),
                1.0F, scores, blas(width), v + key * v_stride, blas(v_stride),
                key == keys_begin ? 0.0F : 1.0F, out + first * out_stride, blas(out_stride));
  }
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<size_t>(r);
    const double none = std::exp(sink - static_cast<double>(running.max[at]));
    const auto inverse = static_cast<float>(1.0 / (running.sum[at] + none));
    float* row = out + (first + r) * out_stride;
    for (int64_t d = 0; d < values; ++d) {
      row[d] *= inverse;
    }
  }
}

}  // namespace

void causal_attention(const AttentionShape& shape, const float* q, const float* k, const float* v,
                      const float* sinks, float* out, ScratchPool& pool, Parallel& parallel) {
  const int64_t query_tiles = (shape.seq_len + kQueryTile - 1) / kQueryTile;
  const int64_t queries_per_kv = shape.heads / shape.kv_heads;
  parallel.for_each(shape.sequences * shape.heads * query_tiles, [&](int64_t piece) {
    // Late queries see the most keys, so they are taken first.
    const int64_t tile = query_tiles - 1 - piece / (shape.sequences * shape.heads);
    const int64_t sequence = piece % (shape.sequences * shape.heads) / shape.heads;
    const int64_t head = piece % shape.heads;
    const int64_t first = tile * kQueryTile;
    const int64_t start = sequence * shape.seq_len;
    const int64_t query_head = start * shape.heads + head;
    const int64_t key_head = start * shape.kv_heads + head / queries_per_kv;
    const double sink = sinks == nullptr ? -std::numeric_limits<double>::infinity()
                                         : static_cast<double>(sinks[head]);
    ScratchPool::Block block(pool);
    pool.borrow(kQueryTile * kKeyTile, block);
    attend_tile(shape, first, std::min(kQueryTile, shape.seq_len - first),
                q + query_head * shape.head_dim, k + key_head * shape.head_dim,
                v + key_head * shape.value_features(), sink,
                out + query_head * shape.value_features(), block.data());
  });
}

}  // namespace rotor::worker::cpu
