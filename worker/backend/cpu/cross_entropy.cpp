#include "worker/backend/cpu/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "worker/backend/cpu/lanes.h"

namespace rotor::worker::cpu {
namespace {

constexpr int64_t kRowTile = 256;
constexpr int64_t kVocabularyTile = 512;

/// Of one row over one tile of the vocabulary.
struct Part {
  float max = 0.0F;
  double sum = 0.0;  // of e^(logit - max)
};

}  // namespace

std::vector<double> next_token_losses(const float* x, const WeightView& head,
                                      std::span<const int32_t> ids, int64_t seq_len, float soft_cap,
                                      ScratchPool& pool, Parallel& parallel) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t vocabulary_tiles = tiles(head.rows, kVocabularyTile);
  std::vector<Part> parts(static_cast<size_t>(tokens * vocabulary_tiles));
  std::vector<float> targets(static_cast<size_t>(tokens));  // logit of the next token
  const auto next_of = [&](int64_t row) {
    return (row + 1) % seq_len == 0 ? -1 : static_cast<int64_t>(ids[static_cast<size_t>(row) + 1]);
  };

  parallel.for_each(tiles(tokens, kRowTile) * vocabulary_tiles, [&](int64_t piece) {
    const int64_t tile = piece % vocabulary_tiles;
    const int64_t first_id = tile * kVocabularyTile;
    const int64_t first = piece / vocabulary_tiles * kRowTile;
    const int64_t rows = std::min(kRowTile, tokens - first);
    const int64_t count = std::min(kVocabularyTile, head.rows - first_id);
    ScratchPool::Block block(pool);
    pool.borrow(static_cast<size_t>(rows * count + tile_scratch(head, count)), block);
    float* logits = block.data();
    multiply_tile(x + first * head.cols, rows, head, first_id, count, logits, count,
                  logits + rows * count);
    if (soft_cap > 0.0F) {
      soft_cap_run(logits, rows * count, soft_cap);
    }
    for (int64_t r = 0; r < rows; ++r) {
      float* row = logits + r * count;
      const int64_t next = next_of(first + r);
      if (next >= first_id && next < first_id + count) {
        targets[static_cast<size_t>(first + r)] = row[next - first_id];
      }
      Part& part = parts[static_cast<size_t>((first + r) * vocabulary_tiles + tile)];
      part.max = max_of(row, count);
      part.sum = exp_and_sum(row, count, part.max);
    }
  });

  std::vector<double> losses;
  losses.reserve(static_cast<size_t>(tokens));
  for (int64_t row = 0; row < tokens; ++row) {
    if (next_of(row) < 0) {
      continue;
    }
    const Part* begin = parts.data() + row * vocabulary_tiles;
    const Part* end = begin + vocabulary_tiles;
    const auto max =
        static_cast<double>(std::max_element(begin, end, [](const Part& a, const Part& b) {
                              return a.max < b.max;
                            })->max);
    double sum = 0.0;
    for (const Part* part = begin; part != end; ++part) {
      sum += part->sum * std::exp(static_cast<double>(part->max) - max);
    }
    losses.push_back(max + std::log(sum) - static_cast<double>(targets[static_cast<size_t>(row)]));
  }
  return losses;
}

}  // namespace rotor::worker::cpu
