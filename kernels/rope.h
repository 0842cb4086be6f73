// Rotary position embedding on the GPU: Backend::rope.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the data at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// Rotates the first `rotary` columns of each head of x [rows, heads * head_dim], F32 or BF16 on
/// the device, in place, halves paired: with a = x_i, b = x_(i + rotary/2), c and s the entries of
/// the row's position (its place within its sequence of `seq_len` rows) in `cos` and `sin`, F32
/// [seq_len, rotary/2] on the device, they become a c - b s and b c + a s. Each is one product and
/// one fused multiply-add in F32; BF16 is rounded once, to nearest, ties to even. No rows: nothing
/// is launched. Errors: those of kernels/supported.h and of the launch; INVALID_ARGUMENT with
/// BAD_SHAPE for a head_dim or `rotary` that is odd, a `rotary` beyond head_dim, or rows that are
/// no whole number of sequences.
Status rope(void* x, DType dtype, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary,
            int64_t seq_len, const float* cos, const float* sin, cudaStream_t stream);

}  // namespace rotor::kernels
