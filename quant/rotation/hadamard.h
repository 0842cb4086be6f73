// The block Hadamard rotation R of algorithm.md section 1: block-diagonal, each block the Sylvester
// matrix divided by sqrt(block). R is symmetric and its own inverse.
//
// Thread-safety: pure functions. Cost: a fast Walsh-Hadamard transform, log2(block) additions and
// one product an element; a Hessian costs twice that. No allocation beyond one tile a thread.
// Errors: INVALID_ARGUMENT where the block is not a power of two in 2..256 or does not divide the
// width.
#pragma once

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/parallel.h"
#include "quant/base/status.h"

namespace rotor {

inline constexpr int64_t kMaxHadamardBlock = 256;

/// Whether blocks of `block` can rotate `width` columns.
Status check_hadamard_block(int64_t width, int64_t block);

/// out [rows, cols] F32 = x R, x [rows, cols] of BF16, F16 or F32. out may be x where that is F32.
Status rotate_rows(const void* x, DType dtype, int64_t rows, int64_t cols, int64_t block,
                   float* out, Parallel& parallel);

/// out = R^T H R, both F32 [n, n]. Reads the lower triangle of H alone; out is symmetric to the
/// bit. out may be hessian.
Status rotate_hessian(const float* hessian, int64_t n, int64_t block, float* out,
                      Parallel& parallel);

}  // namespace rotor
