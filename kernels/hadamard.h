// The block Hadamard rotation of algorithm.md section 1 on the GPU: what quant/rotation/hadamard.h
// does to rows, and the same bits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the data at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// out [rows, cols] = x R, x [rows, cols], both on the device, row after row, each F32 or BF16; R
/// has normalized Sylvester blocks of `block` columns. Sums are F32, in the CPU's order; a BF16
/// `out` is that result rounded to nearest, ties to even. `out` may be `x` where the dtypes are the
/// same, and must not overlap it otherwise. No rows: nothing is launched. Errors: those of
/// kernels/supported.h and of the launch; what goes wrong on the device shows at the next
/// synchronization.
Status rotate_rows(const void* x, DType x_dtype, int64_t rows, int64_t cols, int64_t block,
                   void* out, DType out_dtype, cudaStream_t stream);

}  // namespace rotor::kernels
