// Sharing out tokens over experts on the GPU: the choice, and what comes back from them. Rows go to
// the experts by embed_rows (kernels/embedding.h), whose ids are the rows' tokens.
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Cost: one
// warp a token reads its logits per_token + 1 times, mostly from cache; add_routed reads and writes
// each element once, at memory speed. No scratch memory.
// Determinism: no atomics; sums have one order.
// Errors: UNIMPLEMENTED with UNSUPPORTED_ON_CUDA for more than kMaxExpertsPerToken or
// kMaxExpertGroups; those of
// kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kMaxExpertsPerToken = 32;
inline constexpr int64_t kMaxExpertGroups = 32;

/// A choice of `per_token` of `experts`, those of the largest scores: softmax, or the sigmoid of
/// each logit. With sigmoids (model/routing_rule.h) `correction` is added to scores for the choice
/// alone, and only experts of the `groups_chosen` best of `groups` runs of experts can be chosen,
/// by the sum of a group's two largest. `normalize`: weights are divided by their sum; all are then
/// multiplied by `scale`.
struct ExpertChoice {
  int64_t experts = 0;
  int64_t per_token = 0;
  bool normalize = false;
  bool sigmoid = false;
  int64_t groups = 1;         // divides experts; of sigmoids, at most kMaxExpertGroups
  int64_t groups_chosen = 1;  // these have per_token experts at least
  float scale = 1.0F;
  const float* correction = nullptr;  // F32 [experts] on the device; of sigmoids, or null
};

/// From F32 logits [tokens, experts] to the experts of each token, ascending, and their weights,
/// both [tokens, per_token]. Of equal scores the lower expert's counts as larger, and so it is with
/// groups; a NaN counts as less than any number.
Status choose_experts(const float* logits, int64_t tokens, const ExpertChoice& choice,
                      int32_t* choices, float* weights, cudaStream_t stream);

/// x[t, :] += sum over j of weights[t, j] * y[places[t, j], :] for x [tokens, cols], both F32 or
/// both BF16: summed in F32 in order of j, rounded once. places and weights [tokens, per_token].
Status add_routed(void* x, const void* y, DType dtype, int64_t tokens, int64_t cols,
                  const int32_t* places, const float* weights, int64_t per_token,
                  cudaStream_t stream);

}  // namespace rotor::kernels
