// Sums of exponentials over a vocabulary that is looked at by tiles.
//
// Thread-safety: plain functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace rotor::worker::cpu {

inline constexpr int64_t kLogitRowTile = 256;
inline constexpr int64_t kVocabularyTile = 512;

/// Of one row of logits over one tile of the vocabulary.
struct TileSum {
  float max = 0.0F;
  double sum = 0.0;  // of e^(logit - max)
};

/// log of the sum of e^logit over a row's tiles, in F64 and in their order; `of` gives a tile's
/// TileSum.
template <typename Tile, typename Of>
double log_sum(std::span<const Tile> tiles, const Of& of) {
  const auto largest =
      std::max_element(tiles.begin(), tiles.end(),
                       [&](const Tile& a, const Tile& b) { return of(a).max < of(b).max; });
  const auto max = static_cast<double>(of(*largest).max);
  double sum = 0.0;
  for (const Tile& tile : tiles) {
    sum += of(tile).sum * std::exp(static_cast<double>(of(tile).max) - max);
  }
  return max + std::log(sum);
}

}  // namespace rotor::worker::cpu
