// Looking up token embeddings on the GPU: Backend::embed.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: one read
// and one write of the rows at memory speed; no scratch memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// out [tokens, cols] = rows `ids` [tokens] of table [vocabulary, cols] times `scale`, all on the
/// device. table is BF16, F16 or F32, out F32 or BF16 and does not overlap it; the product is F32,
/// rounded once more where out is not, to nearest, ties to even. The caller checks ids on the host:
/// here a row whose id is not in [0, vocabulary) becomes NaN, so that a mistake shows and nothing
/// out of bounds is read. `ids` need only be aligned to 4 bytes. No tokens: nothing is launched.
/// Errors: those of kernels/supported.h and of the launch.
Status embed_rows(const void* table, DType table_dtype, int64_t vocabulary, int64_t cols,
                  const int32_t* ids, int64_t tokens, float scale, void* out, DType out_dtype,
                  cudaStream_t stream);

}  // namespace rotor::kernels
