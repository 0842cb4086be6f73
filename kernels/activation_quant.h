// What engines do to activations of a4 models at run time, done in place of it on the GPU: what
// quant/format/activations.h does, and the same bits.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the data at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// out [tokens, cols] = x with every group of scheme.group_size columns rounded to 4 bits and back,
/// by the scales that quant/format/activations.h defines; both on the device, row after row, each
/// F32 or BF16. The arithmetic is F32 with true divisions; a BF16 `out` is its result rounded to
/// nearest, ties to even. A group that holds a NaN or an infinity becomes NaN. `input_global_scale`
/// (finite, positive) is NVFP4's static scale and ignored otherwise. `out` may be `x` where the
/// dtypes are the same, and must not overlap it otherwise. No tokens: nothing is launched. Errors:
/// those of kernels/supported.h and of the launch, INVALID_ARGUMENT for a bad input_global_scale.
Status fake_quantize_activations(const void* x, DType x_dtype, int64_t tokens, int64_t cols,
                                 const QuantScheme& scheme, float input_global_scale, void* out,
                                 DType out_dtype, cudaStream_t stream);

}  // namespace rotor::kernels
