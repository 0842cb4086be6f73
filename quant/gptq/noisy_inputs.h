// What a weight becomes where its inputs are quantized (algorithm.md section 4, "Quantized
// activations").
//
// Let inputs x carry a rounding error n that is uncorrelated with them and between columns, D =
// diag(E n_c^2). The output w x is approached best by w* (x + n) with w* = w H (H + D)^-1, and Q is
// then worse than w* by (w* - Q) (H + D) (w* - Q)^T: so w* is what is to be solved for, with H + D.
// This is linear regression with errors in its variables, and the ridge that answers them (Hoerl
// and Kennard 1970, equation 2.1, with D for k I).
//
// Thread-safety: pure function. Needs OpenBLAS set to one thread. A row is the same bits however
// many rows are in the call, as long as calls begin at multiples of kSolveRowTile. Cost: n^2
// multiply-adds a row; scratch of one tile [kSolveRowTile, n] F32 a thread.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"
#include "quant/gptq/solve.h"

namespace rotor {

/// w [rows, n] -= w D F^-1, F = H + D + damping in the form that factorize_hessian leaves it in;
/// noise [n] F32 by original column is the diagonal of D.
void fit_noisy_inputs(float* w, int64_t rows, int64_t n, const float* noise,
                      const SolveFactor& factor, Parallel& parallel);

}  // namespace rotor
