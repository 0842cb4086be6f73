// GPTQ and its refinement on rows of a weight (algorithm.md section 4): sweeps over blocks of 128
// columns (kernels/sweep.h) and, between them, products that bring the errors of finished columns
// to those still to come.
//
// Products are left-looking: the sums of a panel of 1024 columns are made in one product over all
// columns before it, so errors are read and not rewritten. Their factors are rounded to TF32. That
// touches only the target of a column, never an error that is passed on, so nothing accumulates: a
// relative error of 2^-11 in a target moves the objective by less than 1e-4 of itself.
//
// Thread-safety: as Gemm. A row's codes are the same bits whatever other rows are in the call.
// Cost: n^2 multiply-adds a row in products for GPTQ, 2 n^2 for each pass of the refinement;
// scratch of 9.5 bytes an element of the weight, and 4 KiB a row.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

#include "kernels/gemm.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// A range of rows of one weight; everything on the device.
struct SolveRows {
  const float* w = nullptr;  // [rows, cols]
  int64_t rows = 0;
  const float* effective = nullptr;  // scales [rows, cols / group_size]
  uint8_t* codes = nullptr;          // [rows, cols / 2], packed as QuantizedMatrix has them
};

/// Weights that share their input, and so Hessian and factor. They are solved together: a sweep
/// takes about as long for a thousand rows as for eight thousand.
struct SolveProblem {
  int64_t cols = 0;
  QuantScheme scheme;
  std::vector<SolveRows> weights;
};

/// The factor L [cols, cols] F32 (lower triangle) of H' + damping with its columns in the order
/// `order` [cols]: H'[order[i], order[j]] + damping = (L L^T)[i, j], and the column at the last
/// place is quantized first.
struct SolveFactor {
  const float* lower = nullptr;
  const int32_t* order = nullptr;
};

/// Writes the codes. Errors: those of kernels/supported.h, of memory and of launches.
Status solve_rows(Gemm& gemm, const SolveProblem& problem, const SolveFactor& factor,
                  cudaStream_t stream);

/// Improves the codes by `passes` of coordinate descent on e (H + added) e^T; hessian [cols, cols]
/// F32 symmetric, `added` > 0 the damping in absolute terms.
Status refine_rows(Gemm& gemm, const SolveProblem& problem, const float* hessian, float added,
                   int passes, cudaStream_t stream);

}  // namespace rotor::kernels
