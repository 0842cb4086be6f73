#include <cmath>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/hadamard.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// (a, b) becomes (a + b, a - b) for all elements a, b that are kStride apart.
template <int kStride, int kWidth>
__device__ __forceinline__ void butterfly(WarpTile<kWidth>& tile) {
  using Tile = WarpTile<kWidth>;
  if constexpr (kStride < kWidth) {
#pragma unroll
    for (int j = 0; j < Tile::kVectors; ++j) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        if ((i & kStride) == 0) {
          const float a = tile.values[j][i];
          const float b = tile.values[j][i + kStride];
          tile.values[j][i] = a + b;
          tile.values[j][i + kStride] = a - b;
        }
      }
    }
  } else if constexpr (kStride < Tile::kSpan) {
    constexpr int kLanes = kStride / kWidth;
    const float sign = (tile.lane & kLanes) == 0 ? 1.0F : -1.0F;
#pragma unroll
    for (int j = 0; j < Tile::kVectors; ++j) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float other = __shfl_xor_sync(kAllLanes, tile.values[j][i], kLanes);
        // The product is exact, so this rounds once, as the sum or the difference does.
        tile.values[j][i] = __fmaf_rn(sign, tile.values[j][i], other);
      }
    }
  } else {
    constexpr int kVectors = kStride / Tile::kSpan;
#pragma unroll
    for (int j = 0; j < Tile::kVectors; ++j) {
      if ((j & kVectors) == 0) {
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float a = tile.values[j][i];
          const float b = tile.values[j + kVectors][i];
          tile.values[j][i] = a + b;
          tile.values[j + kVectors][i] = a - b;
        }
      }
    }
  }
}

/// Strides in rising order, as on the CPU: that is what makes the bits the same.
template <int kBlock, int kStride = 1, int kWidth>
__device__ __forceinline__ void walsh_hadamard(WarpTile<kWidth>& tile) {
  if constexpr (kStride < kBlock) {
    butterfly<kStride>(tile);
    walsh_hadamard<kBlock, 2 * kStride>(tile);
  }
}

template <int kBlock, typename In, typename Out>
__global__ void __launch_bounds__(kBlockThreads)
    rotate_rows_kernel(const In* x, int64_t count, float norm, Out* out) {
  WarpTile<kTileWidth<In, Out>> tile;
  tile.load(x, count);
  walsh_hadamard<kBlock>(tile);
#pragma unroll
  for (auto& vector : tile.values) {
#pragma unroll
    for (float& value : vector) {
      value *= norm;
    }
  }
  tile.store(out, count);
}

/// The kernel of a block that kRotationBlocks holds.
template <typename In, typename Out>
auto* kernel_of(int64_t block) {
  switch (block) {
    case 16:
      return &rotate_rows_kernel<16, In, Out>;
    case 32:
      return &rotate_rows_kernel<32, In, Out>;
    case 64:
      return &rotate_rows_kernel<64, In, Out>;
    case 128:
      return &rotate_rows_kernel<128, In, Out>;
    default:
      return &rotate_rows_kernel<256, In, Out>;
  }
}

}  // namespace

Status rotate_rows(const void* x, DType x_dtype, int64_t rows, int64_t cols, int64_t block,
                   void* out, DType out_dtype, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_rotation(block, cols));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", x_dtype));
  ROTOR_RETURN_IF_ERROR(check_value_dtype("out", out_dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  const float norm = 1.0F / std::sqrt(static_cast<float>(block));
  return with_typed(x, x_dtype, [&]<typename In>(const In* source) {
    return with_typed(out, out_dtype, [&]<typename Out>(Out* destination) {
      return launch("rotate_rows", kernel_of<In, Out>(block), count,
                    kBlockThreads / kWarpSize * kWarpRun, stream, source, count, norm, destination);
    });
  });
}

}  // namespace rotor::kernels
