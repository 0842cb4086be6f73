// Numbers that are taken from whole matrices on the GPU.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// the data at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// *running = max(*running, max |x|) of x [count], F32 or BF16, in the order finite < infinity <
/// NaN; both on the device. The caller sets *running to 0 (all bits zero) first; then any number of
/// calls on one stream, or on several at once, fold into it, and it is the same bits in any order.
/// `running` need only be aligned to 4 bytes. No elements: nothing is launched. Errors: those of
/// kernels/supported.h and of the launch.
Status max_abs(const void* x, DType dtype, int64_t count, float* running, cudaStream_t stream);

}  // namespace rotor::kernels
