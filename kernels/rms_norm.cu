#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/rms_norm.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kWarps = kBlockThreads / kWarpSize;
/// A row of up to kShortRowBytes has half a warp, so that a block takes many; a longer one has a
/// block.
constexpr int kShortRowBytes = 2048;
constexpr int kShortRowThreads = 16;

/// Sum over the `threads` threads of a row, 16 or the whole block, in a fixed order.
__device__ __forceinline__ float row_sum(float value, int threads) {
#pragma unroll
  for (int stride = kShortRowThreads / 2; stride > 0; stride /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, stride);
  }
  if (threads == kShortRowThreads) {
    return value;
  }
  value += __shfl_xor_sync(kAllLanes, value, kShortRowThreads);
  __shared__ float warps[kWarps];
  if (threadIdx.x % kWarpSize == 0) {
    warps[threadIdx.x / kWarpSize] = value;
  }
  __syncthreads();
  value = 0.0F;
#pragma unroll
  for (const float warp : warps) {
    value += warp;
  }
  return value;
}

/// `threads` threads a row; kWidth divides `cols`. Each thread keeps what it read in shared memory,
/// where no other looks, so that memory is read once for rows of any length.
template <int kWidth, typename T, typename Weight>
__global__ void __launch_bounds__(kBlockThreads)
    rms_norm_kernel(const T* x, int64_t rows, int cols, int threads, const Weight* weight,
                    float eps, T* out) {
  extern __shared__ uint4 shared[];
  const int thread = static_cast<int>(threadIdx.x) % threads;
  const int row_in_block = static_cast<int>(threadIdx.x) / threads;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kBlockThreads / threads) + row_in_block;
  T* held = reinterpret_cast<T*>(shared) + row_in_block * cols;
  const int end = row < rows ? cols : 0;
  const T* source = x + row * cols;
  T* destination = out + row * cols;

  float squares = 0.0F;
#pragma unroll 4
  for (int at = thread * kWidth; at < end; at += threads * kWidth) {
    float values[kWidth];
    load_values(source + at, values);
    store_values(held + at, values);
#pragma unroll
    for (const float value : values) {
      squares = __fmaf_rn(value, value, squares);
    }
  }
  const float mean = __fdiv_rn(row_sum(squares, threads), static_cast<float>(cols));
  const float inverse = __frsqrt_rn(mean + eps);
#pragma unroll 4
  for (int at = thread * kWidth; at < end; at += threads * kWidth) {
    float values[kWidth];
    float scales[kWidth];
    load_values(held + at, values);
    load_values(weight + at, scales);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] = __fmul_rn(__fmul_rn(values[i], inverse), scales[i]);
    }
    store_values(destination + at, values);
  }
}

}  // namespace

Status rms_norm(const void* x, DType dtype, int64_t rows, int64_t cols, const void* weight,
                DType weight_dtype, double eps, void* out, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(check_weight_dtype("weight", weight_dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, cols));
  if (count == 0) {
    return {};
  }
  const int64_t row_bytes = cols * dtype_size(dtype);
  if (row_bytes > kMaxNormRowBytes) {
    return unimplemented("rms_norm over rows of " + std::to_string(cols) + " " +
                         std::string(dtype_name(dtype)) + ": the CUDA kernel takes at most " +
                         std::to_string(kMaxNormRowBytes) + " bytes a row")
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("weight", weight));
  ROTOR_RETURN_IF_ERROR(check_pointer("out", out));
  const int threads = row_bytes <= kShortRowBytes ? kShortRowThreads : kBlockThreads;
  const int64_t rows_per_block = kBlockThreads / threads;
  const Grid grid{.blocks = (rows + rows_per_block - 1) / rows_per_block,
                  .shared_bytes = rows_per_block * row_bytes};
  return with_typed(out, dtype, [&]<typename T>(T* destination) {
    return with_typed_weight(weight, weight_dtype, [&]<typename Weight>(const Weight* scales) {
      constexpr int kWidth = kTileWidth<T, T>;
      auto* kernel =
          cols % kWidth == 0 ? &rms_norm_kernel<kWidth, T, Weight> : &rms_norm_kernel<1, T, Weight>;
      return launch_grid("rms_norm", kernel, grid, stream, static_cast<const T*>(x), rows,
                         static_cast<int>(cols), threads, scales, static_cast<float>(eps),
                         destination);
    });
  });
}

}  // namespace rotor::kernels
