// Where the scale of a group lies among those of a matrix.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>

namespace rotor::kernels {

enum class ScaleOrder {
  kRows,  // [rows, groups], row after row
  kTiles  // tiles of 128 rows by 4 groups, as block-scaled products of tensor cores read them
};

inline constexpr int64_t kScaleTileRows = 128;
inline constexpr int64_t kScaleTileGroups = 4;
inline constexpr int64_t kScaleTileBytes = kScaleTileRows * kScaleTileGroups;

/// Bytes that the scales of [rows, groups] take: whole tiles in kTiles.
constexpr int64_t scale_bytes(ScaleOrder order, int64_t rows, int64_t groups) {
  if (order == ScaleOrder::kRows) {
    return rows * groups;
  }
  const int64_t down = (rows + kScaleTileRows - 1) / kScaleTileRows;
  const int64_t across = (groups + kScaleTileGroups - 1) / kScaleTileGroups;
  return down * across * kScaleTileBytes;
}

}  // namespace rotor::kernels
