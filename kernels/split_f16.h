// F32 products on tensor cores: a number is split into two F16 parts, x = high + low, and
// x y = low high' + high low' + high high' but for 2^-22 of it. Laid side by side the three are one
// product with three times the depth. Tensor cores cut sums off instead of rounding them, which
// costs 2^-24 of the sum so far at every step: so the small parts come first. What is left is about
// depth * 2^-28 of the product.
//
// F16 reaches from 2^-24 to 65504: numbers should be around 1. Below 2^-14 the error of x is no
// longer 2^-22 of x but 2^-25; beyond 65504 parts are not finite, and so is what they are
// multiplied to. Three products in TF32 would have no such limits, and take twice the time.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: memory
// speed. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kSplitParts = 3;    // depth of a product, in those of its factors
inline constexpr int64_t kSplitColumns = 4;  // width of a split factor

/// From x [rows, cols] F32, ld elements from row to row: parts [rows, 4 cols] F16 = (high, low,
/// high, high). Its last three make the left factor of a product, its first three the right one.
Status split_f16(const float* x, int64_t rows, int64_t cols, int64_t ld, uint16_t* parts,
                 cudaStream_t stream);

/// Where the factors of [n, kSplitParts * cols] begin; kSplitColumns * cols elements from row to
/// row. left(a) right(b)^T is a b^T.
inline const uint16_t* split_left(const uint16_t* parts, int64_t cols) {
  return parts + cols;
}
inline const uint16_t* split_right(const uint16_t* parts) {
  return parts;
}

}  // namespace rotor::kernels
