#include "quant/rotation/merge.h"

#include <cmath>
#include <string>

#include "quant/rotation/hadamard.h"
#include "quant/rotation/walsh_hadamard.h"

namespace rotor {
namespace {

void scale(double* x, int64_t count, double factor) {
  for (int64_t i = 0; i < count; ++i) {
    x[i] *= factor;
  }
}

/// The columns of one row.
void merge_columns(const WeightMerge& merge, int64_t cols, double* row) {
  for (size_t c = 0; c < merge.column_scale.size(); ++c) {
    row[c] *= merge.column_scale[c];
  }
  if (merge.column_block == 0) {
    return;
  }
  for (int64_t c = 0; c < cols; c += merge.column_block) {
    walsh_hadamard_rows(row + c, merge.column_block, 1);
  }
  scale(row, cols, 1.0 / std::sqrt(static_cast<double>(merge.column_block)));
}

}  // namespace

Status merge_rows(const WeightMerge& merge, int64_t rows, int64_t cols, double* w,
                  Parallel& parallel) {
  if (!merge.column_scale.empty() && std::ssize(merge.column_scale) != cols) {
    return invalid_argument("a norm of " + std::to_string(merge.column_scale.size()) +
                            " before a linear of " + std::to_string(cols) + " columns")
        .with_reason("BAD_TENSOR_SHAPE");
  }
  if (merge.column_block != 0) {
    ROTOR_RETURN_IF_ERROR(check_hadamard_block(cols, merge.column_block));
  }
  const int64_t block = merge.row_block == 0 ? 1 : merge.row_block;
  if (block != 1) {
    ROTOR_RETURN_IF_ERROR(check_hadamard_block(rows, block));
  }
  parallel.for_each(rows / block, [&](int64_t piece) {
    double* run = w + piece * block * cols;
    for (int64_t r = 0; r < block; ++r) {
      merge_columns(merge, cols, run + r * cols);
    }
    if (block != 1) {
      walsh_hadamard_rows(run, block, cols);
      scale(run, block * cols, 1.0 / std::sqrt(static_cast<double>(block)));
    }
  });
  return {};
}

}  // namespace rotor
