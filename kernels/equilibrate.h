// Scales a symmetric matrix so that its diagonal is around 1, by powers of two: no bit of a number
// is lost, and the Cholesky factor comes out as that of the matrix would have (van der Sluis,
// "Condition numbers and equilibration of matrices", 1969: nearly the best diagonal scaling).
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Cost: memory
// speed, over the lower triangle. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// Lower triangle of a [n, n] F32: a[i, j] / (scales[i] scales[j]), where scales [n] F32 becomes
/// the power of two that brings a[i, i] into [1/2, 2); 1 where that is not positive and finite.
Status equilibrate(float* a, int64_t n, float* scales, cudaStream_t stream);

/// Lower triangle of a [n, n] F32: a[i, j] * scales[i]. Of the equilibrated matrix's factor, it
/// makes the factor of what it was.
Status scale_lower_rows(float* a, int64_t n, const float* scales, cudaStream_t stream);

}  // namespace rotor::kernels
