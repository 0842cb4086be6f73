// Cholesky factorization of one tile of up to 128 rows, and the inverse of its factor, in one
// thread block: the part of a large factorization that is bound by latency.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: tens of
// microseconds of one multiprocessor. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kCholeskyTile = 128;

/// a [n, n] F32 within lines of `ld` elements, n at most kCholeskyTile: its lower triangle becomes
/// L, a = L L^T; the upper one is left alone. inverse [n, n] within lines of `inverse_ld` becomes
/// L^-1 with zeros above the diagonal. Where a is not positive definite, the diagonal of L holds
/// zero or NaN.
Status factorize_tile(float* a, int64_t n, int64_t ld, float* inverse, int64_t inverse_ld,
                      cudaStream_t stream);

}  // namespace rotor::kernels
