// How far two models' predictions are apart on the GPU, row by row of a chunk of logits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: two reads
// of both chunks, the second mostly from the L2 cache; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// Of logits source and other [rows, vocabulary] F32 on the device, with P the probabilities of
/// source and Q those of other: kl [rows] F32 = sum over the vocabulary of P (log P - log Q), nats;
/// same_top [rows] I32 = 1 where both have their largest logit (the first of several) in one place,
/// else 0. Exponentials and sums are F32, in an order that `vocabulary` alone decides. Errors:
/// those of kernels/supported.h and of the launch.
Status divergence(const float* source, const float* other, int64_t rows, int64_t vocabulary,
                  float* kl, int32_t* same_top, cudaStream_t stream);

}  // namespace rotor::kernels
