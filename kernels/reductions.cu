#include "kernels/device/launch.cuh"
#include "kernels/device/number_formats.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/reductions.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

/// Vectors of a thread: enough that few blocks meet at the one number.
constexpr int kVectorsPerThread = 16;

template <int kWidth>
__device__ __forceinline__ uint32_t largest_bits(const float (&values)[kWidth]) {
  uint32_t most = 0;
#pragma unroll
  for (const float value : values) {
    most = max(most, __float_as_uint(value) & kMagnitudeBits);
  }
  return most;
}

/// Without their sign the bits of floats are ordered as the magnitudes are, infinity after the
/// numbers and NaN after infinity; and a maximum of integers does not depend on its order.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    max_abs_kernel(const T* x, int64_t count, uint32_t* running) {
  constexpr int kWidth = kTileWidth<T, T>;
  const int64_t whole = count - count % kWidth;
  const int64_t first =
      (static_cast<int64_t>(blockIdx.x) * kVectorsPerThread * kBlockThreads + threadIdx.x) * kWidth;
  uint32_t most = 0;
#pragma unroll 8
  for (int i = 0; i < kVectorsPerThread; ++i) {
    const int64_t at = first + int64_t{i} * kBlockThreads * kWidth;
    if (at < whole) {
      float values[kWidth];
      load_values(x + at, values);
      most = max(most, largest_bits(values));
    }
  }
  if (blockIdx.x == 0 && whole + threadIdx.x < count) {
    float value[1];
    load_values(x + whole + threadIdx.x, value);
    most = max(most, largest_bits(value));
  }
  most = __reduce_max_sync(kAllLanes, most);
  __shared__ uint32_t warps[kBlockThreads / kWarpSize];
  if (threadIdx.x % kWarpSize == 0) {
    warps[threadIdx.x / kWarpSize] = most;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (const uint32_t warp : warps) {
      most = max(most, warp);
    }
    atomicMax(running, most);
  }
}

}  // namespace

Status max_abs(const void* x, DType dtype, int64_t count, float* running, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(element_count(1, count).status());
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("running", running, alignof(float)));
  return with_typed(x, dtype, [&]<typename T>(const T* source) {
    return launch("max_abs", &max_abs_kernel<T>, count,
                  int64_t{kBlockThreads} * kVectorsPerThread * kTileWidth<T, T>, stream, source,
                  count, reinterpret_cast<uint32_t*>(running));
  });
}

}  // namespace rotor::kernels
