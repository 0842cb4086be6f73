// Activations times a packed 4-bit weight, for any number of activations: W4A16.
//
// The way of a product is a table of the number of activations and the device (packed_gemm_path):
// few go through packed_gemv.h, on Hopper the others through packed_wgmma.h. Elsewhere the weight
// is decoded to BF16 in the workspace and multiplied by cuBLASLt: codes then cost 2.6 bytes of
// traffic a weight, which vanishes beside the product as m grows.
//
// Thread-safety: that of Gemm. Cost: no allocation.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/packed_weight.h"
#include "quant/base/status.h"

namespace rotor::kernels {

enum class PackedGemmPath { kGemv, kWgmma, kDecodeThenGemm };

/// Which way a product of m activations goes on the current device. Errors: those of CUDA.
Result<PackedGemmPath> packed_gemm_path(int64_t m);

/// Bytes of workspace for products of m activations, or fewer, with a weight of this shape on the
/// current device. Errors: those of CUDA.
Result<int64_t> packed_gemm_workspace(int64_t m, int64_t rows, int64_t cols);

/// out [m, weight.rows] BF16 = x [m, weight.cols] BF16 times the weight's transpose, summed in F32.
/// Where the weight is decoded it is rounded to BF16, which is exact for NVFP4 and MXFP4 but for
/// their global scale, and within 2^-9 for INT4. x, out and `workspace` are aligned to 16 bytes,
/// and the workspace is zeros before its first use with a weight of that shape. Errors:
/// RESOURCE_EXHAUSTED (WORKSPACE_TOO_SMALL); those of packed_gemv and Gemm.
Status packed_gemm(Gemm& gemm, const void* x, int64_t m, const PackedWeight& weight, void* out,
                   void* workspace, int64_t workspace_bytes, cudaStream_t stream);

}  // namespace rotor::kernels
