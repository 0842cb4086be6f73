// Products of few activations with a packed weight: codes are decoded in registers, and each is
// read once. For decoding a token at a time, where the weight's bytes are all that counts.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. A workspace
// serves one product at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/packed_weight.h"
#include "quant/base/status.h"

namespace rotor::kernels {

inline constexpr int64_t kMostGemvRows = 64;
inline constexpr int kMostGemvSplits = 8;

/// Bytes of workspace that packed_gemv needs for these sizes, whatever m up to kMostGemvRows.
int64_t packed_gemv_workspace(int64_t rows);

/// out [m, weight.rows] BF16 = x [m, weight.cols] BF16 times the weight's transpose, summed in F32
/// in an order that depends on the shapes and the device alone; m is at most kMostGemvRows. x and
/// out are row after row and aligned to 16 and 2 bytes. `workspace`: packed_gemv_workspace bytes,
/// aligned to 16, whose first half is zeros before its first use; every product leaves them so.
/// `splits`: of the columns among blocks; 0 chooses what measured best.
/// Errors: INVALID_ARGUMENT for shapes and pointers, those of the launch.
Status packed_gemv(const void* x, int64_t m, const PackedWeight& weight, void* out, void* workspace,
                   cudaStream_t stream, int splits = 0);

}  // namespace rotor::kernels
