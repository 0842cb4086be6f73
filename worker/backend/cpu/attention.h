// Causal grouped-query attention on the CPU: tiles of queries against tiles of keys by sgemm with a
// running softmax (the online softmax of Milakov and Gimelshein, arXiv 1805.02867), so that no
// [seq_len, seq_len] matrix exists.
//
// Thread-safety: plain function on the caller's data. Cost: about 200 KiB of scratch a thread.
#pragma once

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/backend/cpu/buffer.h"

namespace rotor::worker::cpu {

/// shape.soft_cap included, and `sinks` [heads] unless null: out [T, heads * value_dim] of q [T,
/// heads * head_dim], k [T, kv_heads * head_dim] and v [T, kv_heads * value_dim], T = sequences *
/// seq_len. Scores and products in F32, the softmax's sums in F64 across key tiles.
void causal_attention(const AttentionShape& shape, const float* q, const float* k, const float* v,
                      const float* sinks, float* out, ScratchPool& pool, Parallel& parallel);

}  // namespace rotor::worker::cpu
