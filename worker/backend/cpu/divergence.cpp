#include "worker/backend/cpu/divergence.h"

#include <algorithm>
#include <cmath>

#include "worker/backend/cpu/lanes.h"
#include "worker/backend/cpu/tile_sum.h"
#include "worker/backend/predicted_id.h"

namespace rotor::worker::cpu {
namespace {

/// Of one row of one model over one tile of the vocabulary.
struct Peak : TileSum {
  int64_t at = 0;  // id of the largest logit, the first of several
};

/// Of both models.
struct Part {
  Peak source;
  Peak other;
  double weighted = 0.0;  // sum of e^(source - source.max) (source - other)
};

/// Logits of the next token.
struct Targets {
  float source = 0.0F;
  float other = 0.0F;
};

/// Turns a row of logits into e^(logit - max).
Peak peak_of(float* row, int64_t count, int64_t first_id) {
  const float* largest = std::max_element(row, row + count);
  Peak peak{{*largest, 0.0}, first_id + (largest - row)};
  peak.sum = exp_and_sum(row, count, peak.max);
  return peak;
}

Part part_of(float* source, float* other, float* difference, int64_t count, int64_t first_id) {
  std::transform(source, source + count, other, difference, std::minus<>());
  Part part;
  part.source = peak_of(source, count, first_id);
  part.other = peak_of(other, count, first_id);
  for (int64_t i = 0; i < count; ++i) {
    part.weighted += static_cast<double>(source[i]) * static_cast<double>(difference[i]);
  }
  return part;
}

/// `weighted` grows with the peak's own exponentials.
void merge(Peak& whole, const Peak& part, double* whole_weighted, double part_weighted) {
  const float max = std::max(whole.max, part.max);
  const double kept = std::exp(static_cast<double>(whole.max) - static_cast<double>(max));
  const double added = std::exp(static_cast<double>(part.max) - static_cast<double>(max));
  whole.at = part.max > whole.max ? part.at : whole.at;
  whole.sum = whole.sum * kept + part.sum * added;
  *whole_weighted = *whole_weighted * kept + part_weighted * added;
  whole.max = max;
}

double log_of(const Peak& peak) {
  return static_cast<double>(peak.max) + std::log(peak.sum);
}

/// KL = sum P (a - b) - log sum e^a + log sum e^b, a and b being the logits.
Divergence divergence_of(std::span<const Part> parts) {
  Part whole = parts.front();
  double unused = 0.0;
  for (const Part& part : parts.subspan(1)) {
    merge(whole.source, part.source, &whole.weighted, part.weighted);
    merge(whole.other, part.other, &unused, 0.0);
  }
  return {whole.weighted / whole.source.sum - log_of(whole.source) + log_of(whole.other),
          whole.source.at == whole.other.at};
}

}  // namespace

ComparedPredictions compare_predictions(const LogitRows& source, const LogitRows& other,
                                        std::span<const int32_t> ids, int64_t seq_len,
                                        ScratchPool& pool, Parallel& parallel) {
  const auto rows = std::ssize(ids);
  const int64_t vocabulary = source.head.rows;
  const int64_t vocabulary_tiles = tiles(vocabulary, kVocabularyTile);
  std::vector<Part> parts(static_cast<size_t>(rows * vocabulary_tiles));
  std::vector<Targets> targets(ids.size());
  parallel.for_each(tiles(rows, kLogitRowTile) * vocabulary_tiles, [&](int64_t piece) {
    const int64_t tile = piece % vocabulary_tiles;
    const int64_t first_id = tile * kVocabularyTile;
    const int64_t first = piece / vocabulary_tiles * kLogitRowTile;
    const int64_t m = std::min(kLogitRowTile, rows - first);
    const int64_t count = std::min(kVocabularyTile, vocabulary - first_id);
    ScratchPool::Block block(pool);
    const int64_t widening =
        std::max(tile_scratch(source.head, count), tile_scratch(other.head, count));
    pool.borrow(static_cast<size_t>((2 * m + 1) * count + widening), block);
    float* const difference = block.data() + 2 * m * count;
    const auto logits_of = [&](const LogitRows& model, float* logits) {
      multiply_tile(model.x + first * model.head.cols, m, model.head, first_id, count, logits,
                    count, difference + count);
      if (model.soft_cap > 0.0F) {
        soft_cap_run(logits, m * count, model.soft_cap);
      }
      return logits;
    };
    float* const a = logits_of(source, block.data());
    float* const b = logits_of(other, block.data() + m * count);
    for (int64_t r = 0; r < m; ++r) {
      const int64_t next = predicted_id(ids, seq_len, first + r);
      if (next >= first_id && next < first_id + count) {
        const int64_t at = r * count + next - first_id;
        targets[static_cast<size_t>(first + r)] = {a[at], b[at]};
      }
      parts[static_cast<size_t>((first + r) * vocabulary_tiles + tile)] =
          part_of(a + r * count, b + r * count, difference, count, first_id);
    }
  });

  ComparedPredictions all;
  for (int64_t row = 0; row < rows; ++row) {
    if (predicted_id(ids, seq_len, row) < 0) {
      continue;
    }
    const std::span<const Part> of_row(parts.data() + row * vocabulary_tiles,
                                       static_cast<size_t>(vocabulary_tiles));
    const Targets& next = targets[static_cast<size_t>(row)];
    all.source_losses.push_back(
        log_sum(of_row, [](const Part& part) -> const TileSum& { return part.source; }) -
        static_cast<double>(next.source));
    all.other_losses.push_back(
        log_sum(of_row, [](const Part& part) -> const TileSum& { return part.other; }) -
        static_cast<double>(next.other));
    all.divergences.push_back(divergence_of(of_row));
  }
  return all;
}

}  // namespace rotor::worker::cpu
