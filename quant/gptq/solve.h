// GPTQ and round-to-nearest on rows of a weight (algorithm.md section 4): codes for given scales.
//
// Thread-safety: pure functions. Rows do not depend on each other. solve_rows needs OpenBLAS set to
// one thread, and works on tiles of kSolveRowTile rows: a row's codes are the same bits however
// many rows are in the call, as long as calls begin at multiples of the tile. Cost: n^2
// multiply-adds a row; scratch of two tiles [kSolveRowTile, n] F32 a thread.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"
#include "quant/base/status.h"
#include "quant/scheme.h"

namespace rotor {

inline constexpr int64_t kSolveRowTile = 64;

/// What factorize_hessian wrote; see there.
struct SolveFactor {
  const float* upper = nullptr;    // [n, n], permuted order
  const int32_t* order = nullptr;  // [n]
  const uint8_t* dead = nullptr;   // [n], by original column
};

/// codes [rows, cols/2], packed as QuantizedMatrix has them, for w [rows, cols] F32 and the
/// effective scales [rows, cols/group_size]. Each column is rounded with the scale of its original
/// group; dead columns are rounded to nearest. Errors: INVALID_ARGUMENT naming the first row and
/// column whose weight is not finite.
Status solve_rows(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                  const float* effective, const SolveFactor& factor, uint8_t* codes,
                  Parallel& parallel);

/// The same by rounding each weight to nearest.
Status round_rows(const float* w, int64_t rows, int64_t cols, const QuantScheme& scheme,
                  const float* effective, uint8_t* codes, Parallel& parallel);

}  // namespace rotor
