// F32 products on tensor cores: a number is split into two TF32 parts, x = high + low, and
// x y = low high' + high low' + high high' but for 2^-22 of it. Laid side by side the three are one
// product with three times the depth. Tensor cores cut sums off instead of rounding them, which
// costs 2^-24 of the sum so far at every step: so the small parts come first. What is left is about
// depth * 2^-28 of the product.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: memory
// speed. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kSplitParts = 3;

/// From x [rows, cols] F32, ld elements from row to row: first [rows, 3 cols] = (high, low, high)
/// and second [rows, 3 cols] = (high, high, low), either null where it is not wanted. first(a)
/// second(b)^T is a b^T.
Status split_tf32(const float* x, int64_t rows, int64_t cols, int64_t ld, float* first,
                  float* second, cudaStream_t stream);

}  // namespace rotor::kernels
