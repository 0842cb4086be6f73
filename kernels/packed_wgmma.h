// Products of many activations with a packed weight on Hopper: codes are decoded in registers on
// their way into the tensor cores, and activations come in tiles by the copy engine.
//
// Thread-safety: enqueues on the caller's stream and current device, and returns. Cost: no
// workspace.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/packed_weight.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// Whether this build and the current device can (compute capability 9.0). Errors: those of CUDA.
Result<bool> has_packed_wgmma();

/// out [m, weight.rows] BF16 = x [m, weight.cols] BF16 times the weight's transpose, summed in F32.
/// Code times group scale is rounded to BF16, which is exact for NVFP4 and MXFP4; the global scale
/// comes last. x and out are aligned to 16 bytes. `tokens`: of a tile, 64, 128 or 256; 0: choose.
/// Errors: UNIMPLEMENTED (UNSUPPORTED_ON_CUDA) on other devices; INVALID_ARGUMENT for shapes and
/// pointers; those of the launch.
Status packed_wgmma(const void* x, int64_t m, const PackedWeight& weight, void* out,
                    cudaStream_t stream, int tokens = 0);

}  // namespace rotor::kernels
