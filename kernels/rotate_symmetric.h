// The rotation of a Hessian, R H R, in one pass: a block Hadamard mixes a square tile of the matrix
// with nothing outside of it.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: memory
// speed, reading one triangle and writing both. Errors: those of kernels/supported.h and of the
// launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// out [n, n] F32 = R a R, R the normalized Sylvester Hadamard of `block`; a [n, n] F32 symmetric,
/// and out exactly so. out is not a.
Status rotate_symmetric(const float* a, int64_t n, int64_t block, float* out, cudaStream_t stream);

}  // namespace rotor::kernels
