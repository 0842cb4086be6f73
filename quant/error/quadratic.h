// The error measure of algorithm.md section 4: what a difference of weights costs on the
// calibration set.
//
// Thread-safety: pure function. Needs OpenBLAS set to one thread. Results of a row are the same
// bits however many rows are in the call, as long as calls begin at multiples of kQuadraticRowTile.
// Cost: n^2 multiply-adds a row at GEMM speed; scratch of two tiles a thread.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"

namespace rotor {

inline constexpr int64_t kQuadraticRowTile = 64;

/// out[r] = (a_r - b_r) H (a_r - b_r)^T for rows of a and b [rows, n] F32 and H [n, n] F32
/// symmetric; b null stands for zero. Products with H in F32, the sum over columns in F64.
void quadratic_rows(const float* a, const float* b, int64_t rows, int64_t n, const float* hessian,
                    double* out, Parallel& parallel);

}  // namespace rotor
