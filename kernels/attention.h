// Causal grouped-query attention on the GPU's tensor cores: Backend::attention.
//
// Tiles of queries against tiles of keys with a running softmax (Milakov and Gimelshein,
// arXiv 1805.02867; the tiling is that of FlashAttention-2, arXiv 2307.08691), so no
// [seq_len, seq_len] matrix exists, and key tiles that are masked as a whole are never read.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: compute
// bound; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// Largest head; every head_dim is a multiple of kHeadDimStep.
inline constexpr int64_t kMaxHeadDim = 256;
inline constexpr int64_t kHeadDimStep = 16;

/// `sequences` sequences of `seq_len` rows follow one another; none sees another.
struct AttentionProblem {
  int64_t sequences = 1;
  int64_t seq_len = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;        // divides heads; query head h reads head h / (heads / kv_heads)
  int64_t head_dim = 0;        // of queries and keys
  float scale = 0.0F;          // of the scores, before the softmax; positive
  int64_t sliding_window = 0;  // keys that a query sees, its own included; 0: all before it
  float soft_cap = 0.0F;       // scaled scores become cap * tanh(score / cap); 0: they stay
  /// F32 [heads] on the device: one more score of each query's softmax, neither scaled nor capped,
  /// whose share goes to no value. Null: none.
  const float* sinks = nullptr;
  int64_t value_dim = 0;  // of values and out; at most head_dim, and 0 for as much
};

/// out [T, heads * value_dim] = softmax(cap(scale q k^T)) v over the keys that a query sees, of q
/// [T, heads * head_dim], k [T, kv_heads * head_dim] and v [T, kv_heads * value_dim]; T = sequences
/// * seq_len; all BF16 on the device, out overlapping none. Scores, softmax and sums are F32, sinks
/// included; a weight of the softmax is rounded to BF16 before it multiplies v. A sequence's result
/// depends on nothing else in the launch, and is the same bits every time. No rows: nothing is
/// launched. Errors: INVALID_ARGUMENT with BAD_SHAPE or BAD_POINTER; UNIMPLEMENTED with
/// UNSUPPORTED_ON_CUDA for other head_dims and value_dims; those of the launch.
Status causal_attention(const AttentionProblem& problem, const void* q, const void* k,
                        const void* v, void* out, cudaStream_t stream);

}  // namespace rotor::kernels
