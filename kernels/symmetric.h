// Operations on large symmetric [n, n] F32 matrices, row-major on the device: what lies between the
// sum of a Hessian and its factorization.
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Cost: memory
// speed, in the elements named. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// a += b over the lower triangle (whole tiles of it).
Status add_lower(float* a, const float* b, int64_t n, cudaStream_t stream);

/// Divides the lower triangle by `divisor` (a true division) and mirrors it into the upper one.
Status scale_and_mirror(float* a, int64_t n, float divisor, cudaStream_t stream);

/// out [n] = the diagonal of a.
Status take_diagonal(const float* a, int64_t n, float* out, cudaStream_t stream);

/// a[i, i] += values[i].
Status add_diagonal(float* a, int64_t n, const float* values, cudaStream_t stream);

/// out[order[i]] = a[i, i]^2.
Status square_diagonal(const float* a, int64_t n, const int32_t* order, float* out,
                       cudaStream_t stream);

/// What gather_lower puts in place of the elements of dead inputs and adds to the diagonal.
struct Damping {
  float dead = 1.0F;   // on the diagonal of a dead input, whose other elements become 0
  float added = 0.0F;  // to every element of the diagonal
};

/// Lower triangle of out[i, j] = a[order[i], order[j]] with damping; order [n] I32 a permutation,
/// dead [n] U8 by column of a. out is not a; its strict upper triangle becomes 0.
Status gather_lower(const float* a, int64_t n, const int32_t* order, const uint8_t* dead,
                    const Damping& damping, float* out, cudaStream_t stream);

}  // namespace rotor::kernels
