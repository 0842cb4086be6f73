// Where a kernel writes the scale of a group: scale_order.h on the device.
//
// A tile of 128 rows by 4 groups is 512 bytes. Within it row r and group c lie at
// (r % 32) * 16 + r / 32 * 4 + c; tiles follow each other along the groups, then along the rows
// (the cuBLAS manual's "1D block scaling factors layout").
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/scale_order.h"

namespace rotor::kernels {

class ScalePlace {
 public:
  ScalePlace(int64_t rows, int64_t groups)
      : rows_(rows),
        groups_(groups),
        tiles_across_((groups + kScaleTileGroups - 1) / kScaleTileGroups) {}

  /// Of groups `index` and `index + further` of the matrix, counted row after row.
  template <bool kTiles>
  __device__ __forceinline__ void of(int64_t index, int further, int64_t (&places)[2]) const {
    if constexpr (!kTiles) {
      places[0] = index;
      places[1] = index + further;
    } else {
      int64_t row = 0;
      int64_t group = 0;
      if (index <= UINT32_MAX && groups_ <= UINT32_MAX) {
        row = static_cast<uint32_t>(index) / static_cast<uint32_t>(groups_);
        group = index - row * groups_;
      } else {
        row = index / groups_;
        group = index % groups_;
      }
      places[0] = in_tiles(row, group);
      for (group += further; group >= groups_; group -= groups_) {
        ++row;
      }
      places[1] = in_tiles(row, group);
    }
  }

  /// Words of clear_padding, about.
  int64_t padding_words() const {
    const int64_t down = (rows_ + kScaleTileRows - 1) / kScaleTileRows;
    return (down * kScaleTileRows - rows_) * tiles_across_;
  }

  /// All threads of the grid together: zeros for the rows and groups that fill up tiles.
  __device__ void clear_padding(uint8_t* scales) const {
    const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
    const int64_t whole_rows = (rows_ + kScaleTileRows - 1) / kScaleTileRows * kScaleTileRows;
    const int64_t below = (whole_rows - rows_) * tiles_across_;
    for (int64_t i = thread; i < below; i += threads) {
      const int64_t at = in_tiles(rows_ + i / tiles_across_, i % tiles_across_ * kScaleTileGroups);
      *reinterpret_cast<uint32_t*>(scales + at) = 0;
    }
    const int64_t beside = tiles_across_ * kScaleTileGroups - groups_;
    for (int64_t i = thread; i < beside * rows_; i += threads) {
      scales[in_tiles(i / beside, groups_ + i % beside)] = 0;
    }
  }

 private:
  __device__ __forceinline__ int64_t in_tiles(int64_t row, int64_t group) const {
    const int64_t tile = row / kScaleTileRows * tiles_across_ + group / kScaleTileGroups;
    return tile * kScaleTileBytes + row % 32 * 16 + row / 32 % 4 * 4 + group % kScaleTileGroups;
  }

  int64_t rows_;
  int64_t groups_;
  int64_t tiles_across_;
};

}  // namespace rotor::kernels
