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

struct RopeProblem {
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t rotary = 0;  // columns of a head that are rotated
  int64_t seq_len = 0;
  int64_t first = 0;         // of these columns
  bool interleaved = false;  // pairs are neighbours, not halves
};

/// Rotates columns [first, first + rotary) of each head of x [rows, heads * head_dim], F32 or BF16
/// on the device, in place: with a pair a = x_i, b = x_(i + rotary/2), or x_2i and x_(2i + 1) of
/// these columns, c and s the entries of the row's position (its place within its sequence of
/// `seq_len` rows) in `cos` and `sin`, F32 [seq_len, rotary/2] on the device, they become a c - b s
/// and b c + a s. Each is one product and one fused multiply-add in F32; BF16 is rounded once, to
/// nearest, ties to even. No rows: nothing is launched. Errors: those of kernels/supported.h and of
/// the launch; INVALID_ARGUMENT with BAD_SHAPE for a head_dim, `rotary` or (of neighbours) `first`
/// that is odd, columns beyond head_dim, or rows that are no whole number of sequences.
Status rope(void* x, DType dtype, const RopeProblem& problem, const float* cos, const float* sin,
            cudaStream_t stream);

}  // namespace rotor::kernels
