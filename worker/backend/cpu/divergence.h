// The losses of two models and how far their predictions are apart, by tiles of rows and of the
// vocabulary: neither's logits ever exist as a whole.
//
// Thread-safety: plain function on the caller's data. Cost: two sgemm tiles of scratch a thread and
// 56 bytes a row and vocabulary tile.
#pragma once

#include <cstdint>
#include <span>

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/backend/cpu/buffer.h"
#include "worker/backend/cpu/gemm.h"

namespace rotor::worker::cpu {

/// cap(x head^T) of x [T, head.cols], cap(l) = soft_cap * tanh(l / soft_cap), or l itself for a
/// soft_cap of 0.
struct LogitRows {
  const float* x = nullptr;
  WeightView head;
  float soft_cap = 0.0F;
};

/// Of two models with one vocabulary, on the rows of x that have a next token in their sequence of
/// `seq_len` rows, in row order. ids: one for each row, below the vocabulary. The losses are those
/// of cross_entropy.h. Logits and exponentials in F32, sums across tiles in F64.
ComparedPredictions compare_predictions(const LogitRows& source, const LogitRows& other,
                                        std::span<const int32_t> ids, int64_t seq_len,
                                        ScratchPool& pool, Parallel& parallel);

}  // namespace rotor::worker::cpu
