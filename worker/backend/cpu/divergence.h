// How far two models' predictions are apart, by tiles of rows and of the vocabulary: neither's
// logits ever exist as a whole.
//
// Thread-safety: plain function on the caller's data. Cost: two sgemm tiles of scratch a thread and
// 56 bytes a row and vocabulary tile.
#pragma once

#include <cstdint>
#include <vector>

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

/// Of rows [0, rows) of two models with one vocabulary. Logits and exponentials in F32, sums across
/// tiles in F64.
std::vector<Divergence> divergences(const LogitRows& source, const LogitRows& other, int64_t rows,
                                    ScratchPool& pool, Parallel& parallel);

}  // namespace rotor::worker::cpu
