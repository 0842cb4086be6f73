// Kernels over a matrix in square tiles: a block of 32 x 8 threads takes a tile of 32 x 32, each
// thread four elements of a column, so that a warp reads 32 neighbours of a row.
#pragma once

#include "kernels/device/launch.cuh"

namespace rotor::kernels {

inline constexpr int kTileEdge = 32;
inline constexpr int kTileRows = 8;
inline constexpr int kTileThreads = kTileEdge * kTileRows;

__device__ __forceinline__ int64_t tile_row() {
  return static_cast<int64_t>(blockIdx.y) * kTileEdge;
}

__device__ __forceinline__ int64_t tile_col() {
  return static_cast<int64_t>(blockIdx.x) * kTileEdge;
}

/// f(row, col) for this thread's elements of the tile that begins at (top, left) of a [rows, cols]
/// matrix.
template <typename F>
__device__ __forceinline__ void for_each_in_tile_at(int64_t top, int64_t left, int64_t rows,
                                                    int64_t cols, F&& f) {
  const int64_t col = left + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kTileEdge; i += kTileRows) {
    const int64_t row = top + i + threadIdx.y;
    if (row < rows && col < cols) {
      f(row, col);
    }
  }
}

/// The same for this block's own tile.
template <typename F>
__device__ __forceinline__ void for_each_in_tile(int64_t rows, int64_t cols, F&& f) {
  for_each_in_tile_at(tile_row(), tile_col(), rows, cols, f);
}

/// One block for each tile of a [rows, cols] matrix; nothing for an empty one.
template <typename... Params>
Status launch_tiles(const char* name, void (*kernel)(Params...), int64_t rows, int64_t cols,
                    cudaStream_t stream, const std::type_identity_t<Params>&... arguments) {
  if (rows == 0 || cols == 0) {
    return {};
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((cols + kTileEdge - 1) / kTileEdge),
                        static_cast<unsigned>((rows + kTileEdge - 1) / kTileEdge));
  config.blockDim = dim3(kTileEdge, kTileRows);
  config.stream = stream;
  return ROTOR_CUDA(cudaLaunchKernelEx(&config, kernel, arguments...)).with_context(name);
}

}  // namespace rotor::kernels
