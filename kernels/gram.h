// X^T X on tensor cores: the sum that a Hessian is (algorithm.md, H).
//
// Thread-safety: as Gemm. Cost: above a width of 2048 about half of a full product, 53 % with 16
// blocks on the diagonal, at BF16 rates; one read and write of the triangle a call.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// hessian [n, n] F32 += x^T x over the lower triangle, for x [tokens, n] BF16. Blocks on the
/// diagonal are written whole, the rest of the upper triangle is left alone. Sums are F32, tokens
/// in order within a call.
Status accumulate_gram(Gemm& gemm, const void* x, int64_t tokens, int64_t n, float* hessian,
                       cudaStream_t stream);

}  // namespace rotor::kernels
