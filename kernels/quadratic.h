// The error measure of algorithm.md section 4 on the GPU: what quant/error/quadratic.h does, with
// products whose factors are rounded to BF16. The measure is a sum of many such products, whose
// roundings average out: it comes out within 1e-3 of its value.
//
// Thread-safety: as Gemm; enqueues on the caller's stream. A row's bits do not depend on how many
// rows are in the call. Cost: n^2 multiply-adds a row at BF16 rates; scratch of 1.5 times the rows
// and half of H.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/gemm.h"
#include "quant/base/status.h"

namespace rotor::kernels {

/// out[r] = (a_r - b_r) H (a_r - b_r)^T in F64 for rows of a and b [rows, n] F32 and H [n, n] F32
/// symmetric, all on the device; b null stands for zero. Errors: those of kernels/supported.h, of
/// memory and of launches.
Status quadratic_rows(Gemm& gemm, const float* a, const float* b, int64_t rows, int64_t n,
                      const float* hessian, double* out, cudaStream_t stream);

}  // namespace rotor::kernels
