// What the decoder does element by element on the GPU: residual sums, gated activations,
// conversion.
//
// Thread-safety: each enqueues on the caller's stream and current device, and returns. Cost: each
// input read once and the output written once, at memory speed; no scratch memory. `count` elements
// of memory that is contiguous, so a matrix of any shape. No elements: nothing is launched.
// Errors: those of kernels/supported.h and of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// x += y * scale, both F32 or both BF16: product and sum in F32, rounded once to nearest, ties to
/// even.
Status add(void* x, const void* y, float scale, DType dtype, int64_t count, cudaStream_t stream);

/// out = gate / (1 + e^-gate) * up, all of them F32 or all BF16. out may be gate or up. In F32
/// within 2^-15 of the true value (the fast exponential and division), then BF16 is rounded once;
/// what up is multiplied with may become 0 below 2^-119.
Status silu_product(const void* gate, const void* up, DType dtype, int64_t count, void* out,
                    cudaStream_t stream);

/// out = gelu(gate) * up, all of them F32 or all BF16, gelu(g) = g / 2 (1 + tanh(sqrt(2/pi) (g +
/// 0.044715 g^3))). out may be gate or up. In F32 within 2^-14 of the true value, then as above.
Status gelu_tanh_product(const void* gate, const void* up, DType dtype, int64_t count, void* out,
                         cudaStream_t stream);

/// out = g / (1 + e^(-alpha g)) * (u + 1) with g = min(gate, limit) and u = up within -limit to
/// limit, all of them F32 or all BF16 (gpt-oss, arXiv 2508.10925, section 2.2). out may be gate or
/// up. In F32 within 2^-15 of the true value while alpha limit is below 16, then as above. A NaN
/// stays one. INVALID_ARGUMENT with BAD_SHAPE for an alpha or a limit that is not positive.
Status clamped_swiglu(const void* gate, const void* up, DType dtype, int64_t count, float alpha,
                      float limit, void* out, cudaStream_t stream);

/// x = cap * tanh(x / cap) in place, F32 or BF16, cap > 0: in F32 within 2^-19 cap, BF16 rounded
/// once. INVALID_ARGUMENT with BAD_SHAPE for a cap that is not positive.
Status soft_cap(void* x, DType dtype, int64_t count, float cap, cudaStream_t stream);

/// out = x: BF16, F16 or F32 to F32 or BF16, rounded to nearest, ties to even, where it must be.
/// The two must not overlap, but out may be x where the dtypes are the same.
Status convert(const void* x, DType x_dtype, int64_t count, void* out, DType out_dtype,
               cudaStream_t stream);

}  // namespace rotor::kernels
