// Floating-point operations of the pipeline's work, for its timer; a multiply-add counts as two.
#pragma once

#include "model/architecture.h"
#include "worker/model/decoder.h"

namespace rotor::worker {

/// Of the lower triangle of x^T x, x [tokens, width].
double hessian_flops(int64_t tokens, int64_t width);

/// Of a stage's linears, of a router before them, and of the attention behind qkv, on the tokens of
/// a micro-batch.
double stage_flops(const Stage& stage, const BatchShape& shape);

}  // namespace rotor::worker
