// Next-token loss over a large vocabulary, by tiles of rows and of the vocabulary: the logits of a
// micro-batch never exist as a whole.
//
// Thread-safety: plain function on the caller's data. Cost: one sgemm tile of scratch a thread and
// 12 bytes a row and vocabulary tile.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/backend/cpu/buffer.h"
#include "worker/backend/cpu/gemm.h"

namespace rotor::worker::cpu {

/// -log softmax(cap(x head^T))[next id], cap(l) = soft_cap * tanh(l / soft_cap) and l itself
/// for a soft_cap of 0, of the rows of x [T, head.cols] that have a next token
/// in their sequence of `seq_len` rows, in row order. ids: T of them, each below head.rows. Logits
/// and exponentials in F32, sums across tiles in F64.
std::vector<double> next_token_losses(const float* x, const WeightView& head,
                                      std::span<const int32_t> ids, int64_t seq_len, float soft_cap,
                                      ScratchPool& pool, Parallel& parallel);

}  // namespace rotor::worker::cpu
