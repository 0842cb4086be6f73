// Copies of runs of columns on the GPU: Backend::copy_columns.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the runs at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// Where the runs of a matrix are: that of head h at columns [first + h * step, ... + width).
struct RunPlace {
  int64_t cols = 0;  // of the matrix
  int64_t first = 0;
  int64_t step = 0;  // 0: the same for all heads
};

/// For each of `rows` rows and `heads` heads, `width` columns of `out` become those of `in`; both
/// F32 or both BF16 on the device, not overlapping. The runs of `out` do not overlap one another.
/// Nothing to copy: nothing is launched. Errors: those of kernels/supported.h and of the launch;
/// INVALID_ARGUMENT with BAD_SHAPE for runs that leave their matrix.
Status copy_columns(const void* in, const RunPlace& from, void* out, const RunPlace& to,
                    DType dtype, int64_t rows, int64_t heads, int64_t width, cudaStream_t stream);

}  // namespace rotor::kernels
