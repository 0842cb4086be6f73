// What a weight becomes where its inputs are quantized, on the GPU: what quant/gptq/noisy_inputs.h
// does, by two triangular solves with the factor that CUDA keeps.
//
// Products are rounded to TF32: 2^-11 of a correction that is itself a few percent of the weight.
// Thread-safety: as Gemm; enqueues on the caller's stream. A row is the same bits whatever other
// rows are in the call. Cost: n^2 multiply-adds a row in products, n / 64 of them one after the
// other; scratch of 4 bytes an element of the weight and 512 bytes a column. Errors: those of
// kernels/supported.h, of Gemm::run, of memory and of launches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/solve.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// sums [cols] F32 += the sum over all rows of (y - x)^2, x and y [rows, cols] of one dtype, F32 or
/// BF16; in an order that the shape alone decides.
Status add_squared_differences(const void* x, const void* y, DType dtype, int64_t rows,
                               int64_t cols, float* sums, cudaStream_t stream);

/// w [rows, n] F32 -= w D (P L L^T P^T)^-1 with L and P as SolveFactor has them and D the diagonal
/// matrix of noise [n], by original column.
Status fit_noisy_inputs(Gemm& gemm, float* w, int64_t rows, int64_t n, const float* noise,
                        const SolveFactor& factor, cudaStream_t stream);

}  // namespace rotor::kernels
