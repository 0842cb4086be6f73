// The loss of next-token predictions on the GPU, row by row of a chunk of logits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read of
// the rows that have a target, at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// losses [rows] F32 = log(sum over j of e^logits[t, j]) - logits[t, targets[t]], in nats, of
/// logits [rows, vocabulary], F32 or BF16, and targets [rows]; all on the device. A negative target
/// is a row without one: its loss is 0 and its logits are not read. A target of `vocabulary` or
/// more makes NaN. Exponentials and sums are F32, in an order that `vocabulary` and `dtype` alone
/// decide. `targets` and `losses` need only be aligned to 4 bytes. The caller sums the rows, in
/// order and in F64. No rows: nothing is launched. Errors: those of kernels/supported.h and of the
/// launch.
Status cross_entropy(const void* logits, DType dtype, int64_t rows, int64_t vocabulary,
                     const int32_t* targets, float* losses, cudaStream_t stream);

}  // namespace rotor::kernels
