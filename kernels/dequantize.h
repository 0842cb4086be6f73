// From packed codes and effective scales back to floats on the GPU: what dequantize_codes of
// quant/format/codes.h does, and the same bits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// codes and scales, one write of the weights, at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// out [rows, cols], F32 or BF16, from codes [rows, cols/2] packed as QuantizedMatrix says and
/// effective scales [rows, cols/group_size] F32; all on the device, row after row, none overlapping
/// `out`. Each value is one product in F32; a BF16 `out` is that rounded to nearest, ties to even.
/// No rows: nothing is launched. Errors: those of kernels/supported.h and of the launch.
Status dequantize_codes(Format format, int64_t group_size, const uint8_t* codes,
                        const float* effective, int64_t rows, int64_t cols, void* out,
                        DType out_dtype, cudaStream_t stream);

}  // namespace rotor::kernels
