// Rounding weights to the nearest code on the GPU: what round_rows of quant/gptq/solve.h does, and
// the same bits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// the weights at memory speed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// codes [rows, cols/2], packed as QuantizedMatrix has them, for w [rows, cols] F32 and effective
/// scales [rows, cols/group_size] F32, all on the device. Errors: those of kernels/supported.h and
/// of the launch.
Status round_rows(Format format, int64_t group_size, const float* w, const float* effective,
                  int64_t rows, int64_t cols, uint8_t* codes, cudaStream_t stream);

}  // namespace rotor::kernels
