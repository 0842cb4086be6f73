#include "kernels/device/launch.cuh"
#include "kernels/rotate_symmetric.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kThreads = 512;
constexpr int kEdge = 128;

/// Of the matrix; elements beyond it are zero.
struct Tile {
  float values[kEdge][kEdge + 1];
};

/// One pass of the transform along one axis: `at(line, i)` is element i of a line, and kRadix
/// elements `span` apart are mixed in registers.
template <int kRadix, typename At>
__device__ void mix(int span, At&& at) {
  constexpr int kSets = kEdge / kRadix;
  for (int s = static_cast<int>(threadIdx.x); s < kEdge * kSets; s += kThreads) {
    // Neighbouring threads take neighbouring lines, so that columns are mixed without conflicts.
    const int line = s % kEdge;
    const int set = s / kEdge;
    const int first = set / span * span * kRadix + set % span;
    float v[kRadix];
#pragma unroll
    for (int i = 0; i < kRadix; ++i) {
      v[i] = at(line, first + i * span);
    }
#pragma unroll
    for (int half = 1; half < kRadix; half *= 2) {
#pragma unroll
      for (int i = 0; i < kRadix; ++i) {
        if ((i & half) == 0) {
          const float sum = __fadd_rn(v[i], v[i + half]);
          v[i + half] = __fsub_rn(v[i], v[i + half]);
          v[i] = sum;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRadix; ++i) {
      at(line, first + i * span) = v[i];
    }
  }
  __syncthreads();
}

/// All passes for blocks of `block` along one axis.
template <typename At>
__device__ void transform(int block, At&& at) {
  int span = 1;
  for (; span * 4 <= block; span *= 4) {
    mix<4>(span, at);
  }
  if (span < block) {
    mix<2>(span, at);
  }
}

/// Element (row, col) of the tile at (top, left) before its own transform. A block of two tiles is
/// mixed across them first: by sums and differences, as the tile stands in it.
__device__ float gather_element(const float* a, int64_t n, int block, int64_t top, int64_t left,
                                int row, int col) {
  if (block <= kEdge) {
    const bool inside = top + row < n && left + col < n;
    return inside ? a[(top + row) * n + left + col] : 0.0F;
  }
  const int64_t first_row = top / block * block + row;
  const int64_t first_col = left / block * block + col;
  const float* corner = a + first_row * n + first_col;
  const float below = top % block == 0 ? 1.0F : -1.0F;
  const float beside = left % block == 0 ? 1.0F : -1.0F;
  const float upper = fmaf(beside, corner[kEdge], corner[0]);
  const float lower = fmaf(beside, corner[kEdge * n + kEdge], corner[kEdge * n]);
  return fmaf(below, lower, upper);
}

__global__ void __launch_bounds__(kThreads)
    rotate_symmetric_kernel(const float* a, int64_t n, int block, float* out) {
  if (blockIdx.x > blockIdx.y) {
    return;
  }
  extern __shared__ float memory[];
  Tile& tile = *reinterpret_cast<Tile*>(memory);
  const int64_t top = static_cast<int64_t>(blockIdx.y) * kEdge;
  const int64_t left = static_cast<int64_t>(blockIdx.x) * kEdge;
  const auto for_each_element = [&](auto&& f) {
#pragma unroll 8
    for (int e = static_cast<int>(threadIdx.x); e < kEdge * kEdge; e += kThreads) {
      f(e / kEdge, e % kEdge);
    }
  };
  for_each_element([&](int row, int col) {
    tile.values[row][col] = gather_element(a, n, block, top, left, row, col);
  });
  __syncthreads();
  const int within = min(block, kEdge);
  transform(within, [&](int line, int i) -> float& { return tile.values[line][i]; });
  transform(within, [&](int line, int i) -> float& { return tile.values[i][line]; });
  // 1/sqrt(block) for each side. Only what is below the diagonal counts: the other half is made of
  // sums in another order.
  const float scale = 1.0F / static_cast<float>(block);
  for_each_element([&](int row, int col) {
    if (top + row < n && left + col <= top + row) {
      out[(top + row) * n + left + col] = tile.values[row][col] * scale;
    }
  });
  for_each_element([&](int col, int row) {
    if (top + row < n && left + col < top + row) {
      out[(left + col) * n + top + row] = tile.values[row][col] * scale;
    }
  });
}

}  // namespace

Status rotate_symmetric(const float* a, int64_t n, int64_t block, float* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(element_count(n, n).status());
  ROTOR_RETURN_IF_ERROR(check_pointer("a", a));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  ROTOR_RETURN_IF_ERROR(check_rotation(block, n));
  constexpr auto kShared = sizeof(Tile);
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaFuncSetAttribute(rotate_symmetric_kernel,
                                                        cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                        static_cast<int>(kShared))));
  const auto tiles = static_cast<unsigned>((n + kEdge - 1) / kEdge);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(tiles, tiles);
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = kShared;
  config.stream = stream;
  return ROTOR_CUDA(cudaLaunchKernelEx(&config, rotate_symmetric_kernel, a, n,
                                       static_cast<int>(block), out))
      .with_context("rotate_symmetric");
}

}  // namespace rotor::kernels
