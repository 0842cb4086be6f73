#include <cfloat>

#include "kernels/cross_entropy.h"
#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kWarps = kBlockThreads / kWarpSize;

/// Sum of e^(x - max) over some x: `max` is the largest of them, or the least finite number.
struct ExpSum {
  float max = -FLT_MAX;
  float sum = 0.0F;

  template <int kWidth>
  __device__ __forceinline__ void absorb(const float (&values)[kWidth]) {
    float most = max;
#pragma unroll
    for (const float value : values) {
      most = fmaxf(most, value);
    }
    if (most > max) {
      sum *= __expf(max - most);
      max = most;
    }
#pragma unroll
    for (const float value : values) {
      sum += __expf(value - max);
    }
  }

  __device__ __forceinline__ void merge(const ExpSum& other) {
    const float most = fmaxf(max, other.max);
    sum = sum * __expf(max - most) + other.sum * __expf(other.max - most);
    max = most;
  }
};

/// The whole block's; every thread has it.
__device__ __forceinline__ ExpSum merge_block(ExpSum mine) {
#pragma unroll
  for (int stride = kWarpSize / 2; stride > 0; stride /= 2) {
    ExpSum other;
    other.max = __shfl_xor_sync(kAllLanes, mine.max, stride);
    other.sum = __shfl_xor_sync(kAllLanes, mine.sum, stride);
    mine.merge(other);
  }
  __shared__ float maxima[kWarps];
  __shared__ float sums[kWarps];
  if (threadIdx.x % kWarpSize == 0) {
    maxima[threadIdx.x / kWarpSize] = mine.max;
    sums[threadIdx.x / kWarpSize] = mine.sum;
  }
  __syncthreads();
  ExpSum all;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    ExpSum other;
    other.max = maxima[warp];
    other.sum = sums[warp];
    all.merge(other);
  }
  return all;
}

/// One block a row. A row of any length may begin anywhere, so its first and last values, which
/// fill no vector, are read one by one.
template <typename T>
__global__ void __launch_bounds__(kBlockThreads)
    cross_entropy_kernel(const T* logits, int64_t vocabulary, const int32_t* targets,
                         float* losses) {
  constexpr int kWidth = kTileWidth<T, T>;
  const int64_t row = blockIdx.x;
  const int64_t target = targets[row];
  if (target < 0) {
    if (threadIdx.x == 0) {
      losses[row] = 0.0F;
    }
    return;
  }
  const T* values = logits + row * vocabulary;
  const int64_t misplaced = row * vocabulary % kWidth;
  const int64_t begin = min(misplaced == 0 ? int64_t{0} : kWidth - misplaced, vocabulary);
  const int64_t end = begin + (vocabulary - begin) / kWidth * kWidth;
  ExpSum mine;
  const auto absorb_one = [&](int64_t at) {
    float value[1];
    load_values(values + at, value);
    mine.absorb(value);
  };
  if (threadIdx.x < begin) {
    absorb_one(threadIdx.x);
  }
#pragma unroll 4
  for (int64_t at = begin + threadIdx.x * kWidth; at < end; at += kBlockThreads * kWidth) {
    float vector[kWidth];
    load_values(values + at, vector);
    mine.absorb(vector);
  }
  if (end + threadIdx.x < vocabulary) {
    absorb_one(end + threadIdx.x);
  }
  const ExpSum all = merge_block(mine);
  if (threadIdx.x == 0) {
    float logit[1] = {__int_as_float(0x7FC00000)};
    if (target < vocabulary) {
      load_values(values + target, logit);
    }
    losses[row] = (all.max - logit[0]) + logf(all.sum);
  }
}

}  // namespace

Status cross_entropy(const void* logits, DType dtype, int64_t rows, int64_t vocabulary,
                     const int32_t* targets, float* losses, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("logits", dtype));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, vocabulary));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("logits", logits));
  ROTOR_RETURN_IF_ERROR(check_pointer("targets", targets, alignof(int32_t)));
  ROTOR_RETURN_IF_ERROR(check_pointer("losses", losses, alignof(float)));
  return with_typed(logits, dtype, [&]<typename T>(const T* source) {
    return launch_grid("cross_entropy", &cross_entropy_kernel<T>, {.blocks = rows}, stream, source,
                       vocabulary, targets, losses);
  });
}

}  // namespace rotor::kernels
