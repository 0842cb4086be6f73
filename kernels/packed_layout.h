// Sizes of packed_weight.h's layout, for its writer and its readers.
//
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "quant/scheme.h"

namespace rotor::kernels {

inline constexpr int kTileRowsPacked = 16;
inline constexpr int kChunkCols = 128;
inline constexpr int kStepCols = 16;  // of one tensor core product
inline constexpr int kChunkSteps = kChunkCols / kStepCols;
inline constexpr int kChunkCodeBytes = kTileRowsPacked * kChunkCols / 2;

/// Where the parts of a packed weight lie.
struct PackedLayout {
  int64_t tiles;
  int64_t chunks;
  int steps_a_scale;  // steps of a chunk that share a scale: 1, 2, 4 or 8
  int scale_size;     // bytes

  constexpr PackedLayout(const QuantScheme& scheme, int64_t rows, int64_t cols)
      : tiles((rows + kTileRowsPacked - 1) / kTileRowsPacked),
        chunks((cols + kChunkCols - 1) / kChunkCols),
        steps_a_scale(
            static_cast<int>(std::min<int64_t>(scheme.group_size, kChunkCols) / kStepCols)),
        scale_size(scheme.format == Format::kInt4 ? 4 : 1) {}

  constexpr int64_t chunk_scales() const { return kTileRowsPacked * (kChunkSteps / steps_a_scale); }
  constexpr int64_t code_bytes() const { return tiles * chunks * kChunkCodeBytes; }
  constexpr int64_t bytes() const {
    return code_bytes() + tiles * chunks * chunk_scales() * scale_size;
  }
};

}  // namespace rotor::kernels
