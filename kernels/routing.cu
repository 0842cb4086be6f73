#include <string>

#include "kernels/device/launch.cuh"
#include "kernels/device/warp_tile.cuh"
#include "kernels/routing.h"
#include "kernels/supported.h"

namespace rotor::kernels {
namespace {

constexpr float kInfinity = __builtin_huge_valf();
constexpr float kLeastSum = 1e-20F;  // as the models' own code has it

/// An ExpertChoice as the kernel takes it.
struct Rule {
  int experts;
  int per_token;
  int group_size;
  int groups;
  int groups_chosen;
  bool normalize;
  float scale;
  const float* correction;
};

__device__ __forceinline__ float or_least(float value) {
  return value == value ? value : -kInfinity;
}

/// What a weight is made of: the logit, or its sigmoid.
template <bool kSigmoid>
__device__ __forceinline__ float score_of(const float* row, int expert) {
  const float logit = or_least(row[expert]);
  return kSigmoid ? __frcp_rn(1.0F + expf(-logit)) : logit;
}

/// An expert, or a group of them, with what it is chosen by; the one before another is chosen
/// before it.
struct Candidate {
  float key;
  int expert;

  __device__ __forceinline__ bool before(const Candidate& other) const {
    return key > other.key || (key == other.key && expert < other.expert);
  }
};

template <bool kSigmoid>
__device__ __forceinline__ Candidate candidate(const float* row, const Rule& rule, int expert) {
  const float score = score_of<kSigmoid>(row, expert);
  return {rule.correction == nullptr ? score : or_least(score + rule.correction[expert]), expert};
}

/// A bit for each group that the token may go to; one lane a group.
__device__ __forceinline__ unsigned chosen_groups(const float* row, const Rule& rule, int lane) {
  if (rule.groups_chosen == rule.groups) {
    return kAllLanes;
  }
  float first = -kInfinity;
  float second = -kInfinity;
  const int begin = lane < rule.groups ? lane * rule.group_size : rule.experts;
  const int end = lane < rule.groups ? begin + rule.group_size : rule.experts;
  for (int e = begin; e < end; ++e) {
    const float key = candidate<true>(row, rule, e).key;
    second = fmaxf(second, fminf(first, key));
    first = fmaxf(first, key);
  }
  const Candidate mine{or_least(first + second), lane};
  int better = 0;
  for (int g = 0; g < rule.groups; ++g) {
    const Candidate other{__shfl_sync(kAllLanes, mine.key, g), g};
    better += other.before(mine) ? 1 : 0;
  }
  return __ballot_sync(kAllLanes, lane < rule.groups && better < rule.groups_chosen);
}

/// The best of the warp's, on every lane.
__device__ __forceinline__ Candidate best_of_warp(Candidate best) {
#pragma unroll
  for (int stride = kWarpSize / 2; stride > 0; stride /= 2) {
    const Candidate other{__shfl_xor_sync(kAllLanes, best.key, stride),
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
template <bool kSigmoid>
__global__ void __launch_bounds__(kBlockThreads)
    choose_experts_kernel(const float* logits, int64_t tokens, Rule rule, int32_t* choices,
                          float* weights) {
  const int64_t token =
      (static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x) / kWarpSize;
  if (token >= tokens) {
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int experts = rule.experts;
  const int per_token = rule.per_token;
  const float* row = logits + token * experts;
  const unsigned groups = kSigmoid ? chosen_groups(row, rule, lane) : kAllLanes;
  const Candidate nobody{-kInfinity, experts};
  Candidate last{kInfinity, -1};
  Candidate mine = nobody;
  float largest = 0.0F;
  for (int k = 0; k < per_token; ++k) {
    Candidate best = nobody;
    for (int e = lane; e < experts; e += kWarpSize) {
      if (kSigmoid && groups != kAllLanes && (groups >> (e / rule.group_size) & 1U) == 0) {
        continue;
      }
      const Candidate next = candidate<kSigmoid>(row, rule, e);
      best = last.before(next) && next.before(best) ? next : best;
    }
    last = best_of_warp(best);
    largest = k == 0 ? last.key : largest;
    mine = lane == k ? last : mine;
  }
  const bool chosen = lane < per_token;
  float weight = 0.0F;
  if constexpr (kSigmoid) {
    weight = chosen ? score_of<true>(row, mine.expert) : 0.0F;
  } else {
    float sum = 0.0F;
    for (int e = lane; e < experts; e += kWarpSize) {
      sum += expf(score_of<false>(row, e) - largest);
    }
    sum = warp_sum(sum);
    weight = chosen ? __fdiv_rn(expf(mine.key - largest), sum) : 0.0F;
  }
  if (rule.normalize) {
    // Sigmoids may all be 0, a softmax never.
    weight = __fdiv_rn(weight, warp_sum(weight) + (kSigmoid ? kLeastSum : 0.0F));
  }
  weight = __fmul_rn(weight, rule.scale);
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

Status check_choice(const ExpertChoice& choice) {
  if (choice.experts < choice.per_token || choice.experts > (int64_t{1} << 20)) {
    return invalid_argument("a choice of " + std::to_string(choice.per_token) + " among " +
                            std::to_string(choice.experts) + " experts")
        .with_reason("BAD_SHAPE");
  }
  const bool grouped = choice.groups != 1 || choice.correction != nullptr;
  if (choice.groups < 1 || choice.experts % choice.groups != 0 || choice.groups_chosen < 1 ||
      choice.groups_chosen > choice.groups || (grouped && !choice.sigmoid) ||
      choice.experts / choice.groups * choice.groups_chosen < choice.per_token) {
    return invalid_argument("a choice of " + std::to_string(choice.per_token) + " experts among " +
                            std::to_string(choice.groups_chosen) + " of " +
                            std::to_string(choice.groups) + " groups of " +
                            std::to_string(choice.experts))
        .with_reason("BAD_SHAPE");
  }
  if (choice.groups > kMaxExpertGroups) {
    return unimplemented("experts in " + std::to_string(choice.groups) +
                         " groups: the CUDA kernels take up to " + std::to_string(kMaxExpertGroups))
        .with_reason("UNSUPPORTED_ON_CUDA");
  }
  return {};
}

}  // namespace

Status choose_experts(const float* logits, int64_t tokens, const ExpertChoice& choice,
                      int32_t* choices, float* weights, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(check_per_token(choice.per_token));
  ROTOR_ASSIGN_OR_RETURN(const int64_t count, element_count(tokens, choice.experts));
  ROTOR_RETURN_IF_ERROR(check_choice(choice));
  if (count == 0) {
    return {};
  }
  ROTOR_RETURN_IF_ERROR(check_pointer("logits", logits));
  ROTOR_RETURN_IF_ERROR(check_pointer("choices", choices, alignof(int32_t)));
  ROTOR_RETURN_IF_ERROR(check_pointer("weights", weights, alignof(float)));
  const Rule rule{.experts = static_cast<int>(choice.experts),
                  .per_token = static_cast<int>(choice.per_token),
                  .group_size = static_cast<int>(choice.experts / choice.groups),
                  .groups = static_cast<int>(choice.groups),
                  .groups_chosen = static_cast<int>(choice.groups_chosen),
                  .normalize = choice.normalize,
                  .scale = choice.scale,
                  .correction = choice.correction};
  return launch("choose_experts",
                choice.sigmoid ? &choose_experts_kernel<true> : &choose_experts_kernel<false>,
                tokens, kBlockThreads / kWarpSize, stream, logits, tokens, rule, choices, weights);
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
