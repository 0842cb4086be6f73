// How a warp holds a run of 512 neighbouring values in registers, for kernels that read and write
// the same elements.
//
// Lane l holds kVectors vectors of kWidth values; value i of vector j is element
//   j * 32 * kWidth + l * kWidth + i
// of the run. So each load and store of the warp is one contiguous piece of memory, and an element
// 2^k away is: in the same vector for 2^k < kWidth, in another lane of the same vector for
// kWidth <= 2^k < 32 * kWidth, and in another vector of the same lane beyond. kWidth makes 16-byte
// accesses of the wider of the two dtypes.
//
// Runs are cut without regard to rows: whatever a kernel treats as one (a block, a group) is a
// power of two of at most 256 that divides the columns, so no run cuts it.
#pragma once

#include <cstdint>

#include "kernels/device/vector_io.cuh"

namespace rotor::kernels {

inline constexpr int kWarpSize = 32;
inline constexpr int kWarpRun = 512;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

template <typename In, typename Out>
inline constexpr int kTileWidth = 16 / static_cast<int>(sizeof(In) > sizeof(Out) ? sizeof(In)
                                                                                 : sizeof(Out));

template <int kWidth>
struct WarpTile {
  static constexpr int kSpan = kWarpSize * kWidth;  // from one vector of a lane to its next
  static constexpr int kVectors = kWarpRun / kSpan;

  float values[kVectors][kWidth];
  int lane;
  int64_t begin;  // element of values[0][0]

  /// The run of this thread's warp, of x [count]; zeros past its end, so that every lane takes part
  /// in shuffles.
  template <typename In>
  __device__ __forceinline__ void load(const In* x, int64_t count) {
    lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const int64_t warp = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarpSize;
    begin = warp * kWarpRun + lane * kWidth;
#pragma unroll
    for (int j = 0; j < kVectors; ++j) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[j][i] = 0.0F;
      }
      if (begin + j * kSpan < count) {
        load_values(x + begin + j * kSpan, values[j]);
      }
    }
  }

  template <typename Out>
  __device__ __forceinline__ void store(Out* out, int64_t count) const {
#pragma unroll
    for (int j = 0; j < kVectors; ++j) {
      if (begin + j * kSpan < count) {
        store_values(out + begin + j * kSpan, values[j]);
      }
    }
  }
};

}  // namespace rotor::kernels
