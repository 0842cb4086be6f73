// Root mean square normalization of rows on the GPU: Backend::rms_norm.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the rows at memory speed (a row waits in shared memory); no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// Bytes of the longest row: 24576 columns of F32 or 49152 of BF16.
inline constexpr int64_t kMaxNormRowBytes = 96 * 1024;

/// out [rows, cols] = x / sqrt(mean(x^2) + eps) * weight [cols], row by row, all on the device.
/// `dtype` is that of x and out, F32 or BF16; weight is BF16, F16 or F32. Everything is F32, the
/// sum of squares too, in an order that `cols` and `dtype` alone decide; a BF16 out is rounded
/// once, to nearest, ties to even. out may be x. Short rows, such as heads that are normalized on
/// their own, are as fast as long ones. No rows: nothing is launched. Errors: those of
/// kernels/supported.h and of the launch; UNIMPLEMENTED with UNSUPPORTED_ON_CUDA for rows longer
/// than kMaxNormRowBytes.
Status rms_norm(const void* x, DType dtype, int64_t rows, int64_t cols, const void* weight,
                DType weight_dtype, double eps, void* out, cudaStream_t stream);

}  // namespace rotor::kernels
