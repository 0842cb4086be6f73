// Weights, scales and codes turned so that a column's rows lie side by side, as the solver wants
// them, and back.
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Cost: memory
// speed. Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"

namespace rotor::kernels {

/// out [cols, ld] F32 = in [rows, cols] F32 transposed; places [rows, places) of each line become
/// `padding`, and those beyond stay as they are.
Status transpose(const float* in, int64_t rows, int64_t cols, float padding, int64_t places,
                 float* out, int64_t ld, cudaStream_t stream);

/// packed [rows, cols/2], as QuantizedMatrix has codes, from codes [cols, ld], one a byte.
Status pack_columns(const uint8_t* codes, int64_t ld, int64_t rows, int64_t cols, uint8_t* packed,
                    cudaStream_t stream);

/// The inverse; places [rows, places) become code 0, and those beyond stay as they are.
Status unpack_columns(const uint8_t* packed, int64_t rows, int64_t cols, int64_t places,
                      uint8_t* codes, int64_t ld, cudaStream_t stream);

}  // namespace rotor::kernels
