#include "worker/backend/cpu/cross_entropy.h"

#include <algorithm>
#include <functional>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/tile_sum.h"
#include "worker/backend/predicted_id.h"

namespace rotor::worker::cpu {

std::vector<double> next_token_losses(const float* x, const WeightView& head,
                                      std::span<const int32_t> ids, int64_t seq_len, float soft_cap,
                                      ScratchPool& pool, Parallel& parallel) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t vocabulary_tiles = tiles(head.rows, kVocabularyTile);
  std::vector<TileSum> parts(static_cast<size_t>(tokens * vocabulary_tiles));
  std::vector<float> targets(static_cast<size_t>(tokens));  // logit of the next token
  const auto next_of = [&](int64_t row) { return predicted_id(ids, seq_len, row); };

  parallel.for_each(tiles(tokens, kLogitRowTile) * vocabulary_tiles, [&](int64_t piece) {
    const int64_t tile = piece % vocabulary_tiles;
    const int64_t first_id = tile * kVocabularyTile;
    const int64_t first = piece / vocabulary_tiles * kLogitRowTile;
    const int64_t rows = std::min(kLogitRowTile, tokens - first);
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
      TileSum& part = parts[static_cast<size_t>((first + r) * vocabulary_tiles + tile)];
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
    const std::span<const TileSum> of_row(parts.data() + row * vocabulary_tiles,
                                          static_cast<size_t>(vocabulary_tiles));
    losses.push_back(log_sum(of_row, std::identity()) -
                     static_cast<double>(targets[static_cast<size_t>(row)]));
  }
  return losses;
}

}  // namespace rotor::worker::cpu
