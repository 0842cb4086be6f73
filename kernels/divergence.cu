#include <cfloat>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/divergence.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr int kWarps = kBlockThreads / kWarpSize;

/// The largest of some logits, and where it is first.
struct Top {
  float value = -FLT_MAX;
  int64_t at = 0;

  __device__ __forceinline__ void absorb(const Top& other) {
    if (other.value > value || (other.value == value && other.at < at)) {
      *this = other;
    }
  }
};

/// `merge(mine, theirs)` over all threads of the block; every thread has the result. T is passed
/// from lane to lane as 32-bit words.
template <typename T, typename Merge>
__device__ __forceinline__ T merge_block(T mine, T (&shared)[kWarps], Merge&& merge) {
  constexpr int kWords = sizeof(T) / sizeof(uint32_t);
#pragma unroll
  for (int stride = kWarpSize / 2; stride > 0; stride /= 2) {
    T theirs;
    const auto* from = reinterpret_cast<const uint32_t*>(&mine);
    auto* to = reinterpret_cast<uint32_t*>(&theirs);
#pragma unroll
    for (int word = 0; word < kWords; ++word) {
      to[word] = __shfl_xor_sync(kAllLanes, from[word], stride);
    }
    // The lower lane's stands first on both sides, so both add in one order.
    mine = (threadIdx.x & stride) == 0 ? merge(mine, theirs) : merge(theirs, mine);
  }
  if (threadIdx.x % kWarpSize == 0) {
    shared[threadIdx.x / kWarpSize] = mine;
  }
  __syncthreads();
  T all = shared[0];
#pragma unroll
  for (int warp = 1; warp < kWarps; ++warp) {
    all = merge(all, shared[warp]);
  }
  return all;
}

struct Sums {
  float source = 0.0F;    // of e^(a - max a)
  float other = 0.0F;     // of e^(b - max b)
  float weighted = 0.0F;  // of e^(a - max a) ((a - max a) - (b - max b))
};

/// One block a row.
__global__ void __launch_bounds__(kBlockThreads)
    divergence_kernel(const float* source, const float* other, int64_t vocabulary, float* kl,
                      int32_t* same_top) {
  const int64_t row = blockIdx.x;
  const float* a = source + row * vocabulary;
  const float* b = other + row * vocabulary;
  Top top_a;
  Top top_b;
  for (int64_t at = threadIdx.x; at < vocabulary; at += kBlockThreads) {
    top_a.absorb({a[at], at});
    top_b.absorb({b[at], at});
  }
  __shared__ Top tops_a[kWarps];
  __shared__ Top tops_b[kWarps];
  __shared__ Sums sums[kWarps];
  const auto larger = [](Top one, const Top& two) {
    one.absorb(two);
    return one;
  };
  top_a = merge_block(top_a, tops_a, larger);
  top_b = merge_block(top_b, tops_b, larger);
  Sums mine;
  for (int64_t at = threadIdx.x; at < vocabulary; at += kBlockThreads) {
    const float from_a = a[at] - top_a.value;
    const float from_b = b[at] - top_b.value;
    const float p = __expf(from_a);
    mine.source += p;
    mine.other += __expf(from_b);
    mine.weighted = p > 0.0F ? fmaf(p, from_a - from_b, mine.weighted) : mine.weighted;
  }
  const Sums all = merge_block(mine, sums, [](const Sums& one, const Sums& two) {
    return Sums{one.source + two.source, one.other + two.other, one.weighted + two.weighted};
  });
  if (threadIdx.x == 0) {
    kl[row] = all.weighted / all.source - logf(all.source) + logf(all.other);
    same_top[row] = top_a.at == top_b.at ? 1 : 0;
  }
}

}  // namespace

Status divergence(const float* source, const float* other, int64_t rows, int64_t vocabulary,
                  float* kl, int32_t* same_top, cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(rows, vocabulary));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("source", source, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("other", other, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("kl", kl, alignof(float)));
  ROTOR_RETURN_IF_ERROR(check_pointer("same_top", same_top, alignof(int32_t)));
  return launch_grid("divergence", &divergence_kernel, {.blocks = rows}, stream, source, other,
                     vocabulary, kl, same_top);
}

}  // namespace rotor::kernels
