// Merging rotations into a weight, offline and in F64: what stands on either side of it in the
// model is rotated, and the weight takes that back, so that the model computes what it did. R is
// the block Hadamard rotation of hadamard.h, its own inverse.
//
// Design goals: one operation for every kind of weight; a run of rows at a time, so that a tensor
// of any size needs little memory. Not goals: rotations that are not block-diagonal Hadamard.
//
// Thread-safety: pure functions. Cost: log2(block) additions an element for each side.
#pragma once

#include <cstdint>
#include <span>

#include "quant/base/parallel.h"
#include "quant/base/status.h"

namespace rotor {

/// W [rows, cols] becomes R_rows W diag(column_scale) R_cols.
struct WeightMerge {
  std::span<const double> column_scale;  // [cols]: the norm before the linear; empty: none
  int64_t column_block = 0;              // of the rotation that the input has taken; 0: none
  int64_t row_block = 0;                 // of the one that the output is to take; 0: none
};

/// w [rows, cols] F64, in place: a run of rows that begins at a multiple of the row block and holds
/// whole ones. A bias is one row whose columns are the outputs. Errors: INVALID_ARGUMENT where a
/// block cannot rotate its width (hadamard.h), or the scale is not of the width.
Status merge_rows(const WeightMerge& merge, int64_t rows, int64_t cols, double* w,
                  Parallel& parallel);

}  // namespace rotor
