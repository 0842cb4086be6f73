#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/routing.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr float kInfinity = __builtin_huge_valf();

/// An expert with its logit; the one before another is chosen before it.
struct Candidate {
  float logit;
  int expert;

  __device__ __forceinline__ bool before(const Candidate& other) const {
    return logit > other.logit || (logit == other.logit && expert < other.expert);
  }
};

__device__ __forceinline__ Candidate candidate(const float* row, int expert) {
  const float logit = row[expert];
  return {logit == logit ? logit : -kInfinity, expert};
}

/// The best of the warp's, on every lane.
__device__ __forceinline__ Candidate best_of_warp(Candidate best) {
#pragma unroll
  for (int stride = kWarpSize / 2; stride > 0; stride /= 2) {
    const Candidate other{__shfl_xor_sync(kAllLanes, best.logit, stride),
                          __shfl_xor_sync(kAllLanes, best.expert, stride)};
    best = other.before(best) ? other : best;
  }
  return best;
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int stride = kWarpSize / 2; stride > 0; stride /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, stride);
  }
  return value;
}

/// One warp a token; lane k keeps its k-th choice.
__global__ void __launch_bounds__(kBlockThreads)
    choose_experts_kernel(const float* logits, int64_t tokens, int experts, int per_token,
                          bool normalize, int32_t* choices, float* weights) {
  const int64_t token =
      (static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x) / kWarpSize;
  if (token >= tokens) {
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const float* row = logits + token * experts;
  const Candidate nobody{-kInfinity, experts};
  Candidate last{kInfinity, -1};
  Candidate mine = nobody;
  float largest = 0.0F;
  for (int k = 0; k < per_token; ++k) {
    Candidate best = nobody;
    for (int e = lane; e < experts; e += kWarpSize) {
      const Candidate next = candidate(row, e);
      best = last.before(next) && next.before(best) ? next : best;
    }
    last = best_of_warp(best);
    largest = k == 0 ? last.logit : largest;
    mine = lane == k ? last : mine;
  }
  float sum = 0.0F;
  for (int e = lane; e < experts; e += kWarpSize) {
    sum += expf(candidate(row, e).logit - largest);
  }
  sum = warp_sum(sum);
  const bool chosen = lane < per_token;
  float weight = chosen ? __fdiv_rn(expf(mine.logit - largest), sum) : 0.0F;
  if (normalize) {
    sum = warp_sum(weight);
    weight = __fdiv_rn(weight, sum);
  }
  int place = 0;
  for (int k = 0; k < per_token; ++k) {
    place += __shfl_sync(kAllLanes, mine.expert, k) < mine.expert ? 1 : 0;
  }
  if (chosen) {
    choices[token * per_token + place] = mine.expert;
    weights[token * per_token + place] = weight;
  }
}

/// One block a token; kWidth divides `cols`.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kBlockThreads)
    add_routed_kernel(T* x, const T* y, int64_t cols, const int32_t* places, const float* weights,
                      int per_token) {
  const int64_t token = blockIdx.x;
  T* row = x + token * cols;
  for (int64_t at = threadIdx.x * kWidth; at < cols; at += kBlockThreads * kWidth) {
    float sums[kWidth];
    load_values(row + at, sums);
    for (int64_t j = token * per_token; j < (token + 1) * per_token; ++j) {
      float values[kWidth];
      load_values(y + places[j] * cols + at, values);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        sums[i] = __fmaf_rn(weights[j], values[i], sums[i]);
      }
    }
    store_values(row + at, sums);
  }
}

Status check_per_token(int64_t per_token) {
  if (per_token >= 1 && per_token <= kMaxExpertsPerToken) {
    return {};
  }
  return unimplemented("tokens that go to " + std::to_string(per_token) +
                       " experts each: the CUDA kernels take 1 to " +
                       std::to_string(kMaxExpertsPerToken))
      .with_reason("UNSUPPORTED_ON_CUDA");
}

}  // namespace

Status choose_experts(const float* logits, int64_t tokens, const ExpertChoice& choice,
                      int32_t* choices, float* weights, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_per_token(choice.per_token));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, choice.experts));
  if (choice.experts < choice.per_token || choice.experts > (int64_t{1} << 20)) {
    return invalid_argument("a choice of " + std::to_string(choice.per_token) + " among " +
                            std::to_string(choice.experts) + " experts")
        .with_reason("BAD_SHAPE");
  }
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("logits", logits));
  ROTOR_RETURN_IF_ERROR(check_pointer("choices", choices, alignof(int32_t)));
  ROTOR_RETURN_IF_ERROR(check_pointer("weights", weights, alignof(float)));
  return launch("choose_experts", &choose_experts_kernel, tokens, kBlockThreads / kWarpSize, stream,
                logits, tokens, static_cast<int>(choice.experts),
                static_cast<int>(choice.per_token), choice.normalize, choices, weights);
}

Status add_routed(void* x, const void* y, DType dtype, int64_t tokens, int64_t cols,
                  const int32_t* places, const float* weights, int64_t per_token,
                  cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_value_dtype("x", dtype));
  ROTOR_RETURN_IF_ERROR(check_per_token(per_token));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, cols));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("x", x));
  ROTOR_RETURN_IF_ERROR(check_pointer("y", y));
  ROTOR_RETURN_IF_ERROR(check_pointer("places", places, alignof(int32_t)));
  ROTOR_RETURN_IF_ERROR(check_pointer("weights", weights, alignof(float)));
  return with_typed(x, dtype, [&]<typename T>(T* sums) {
    constexpr int kWidth = kTileWidth<T, T>;
    auto* kernel = cols % kWidth == 0 ? &add_routed_kernel<kWidth, T> : &add_routed_kernel<1, T>;
    return launch_grid("add_routed", kernel, {.blocks = tokens}, stream, sums,
                       static_cast<const T*>(y), cols, places, weights,
                       static_cast<int>(per_token));
  });
}

}  // namespace rotor::kernels
