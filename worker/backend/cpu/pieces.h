// How the CPU backend cuts operations that go over rows into pieces of work: by the shapes alone.
//
// Thread-safety: as the Parallel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "quant/base/parallel.h"

namespace rotor::worker::cpu {

inline constexpr int64_t kPieceElements = 1 << 15;

inline int64_t pieces_of(int64_t extent, int64_t piece) {
  return (extent + piece - 1) / piece;
}

/// body(begin, end) over ranges of 0..extent that hold about kPieceElements of `width` each.
inline void for_ranges(int64_t extent, int64_t width, Parallel& parallel,
                       const std::function<void(int64_t, int64_t)>& body) {
  const int64_t step = std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, width));
  parallel.for_each(pieces_of(extent, step), [&](int64_t piece) {
    body(piece * step, std::min(extent, (piece + 1) * step));
  });
}

}  // namespace rotor::worker::cpu
