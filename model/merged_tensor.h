// The tensors of a merged model (merge_plan.h), made from those of the original, in F64.
//
// Thread-safety: pure functions; sources as theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "model/merge_plan.h"
#include "quant/base/parallel.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// values [rows, cols] F64 of merge.source from row `first_row` on, in place. The run begins and
/// ends at multiples of merge.row_block. `folded` holds the weight of merge.folded, as it is
/// stored, [cols].
Status merge_values(const TensorMerge& merge, const std::vector<double>& folded, int64_t first_row,
                    int64_t rows, int64_t cols, double* values, Parallel& parallel);

/// Rounds to F32, and from there to BF16 or F16 if that is the dtype; `out` has values.size()
/// elements.
void store_values(const std::vector<double>& values, DType dtype, void* out);

/// A merged tensor of a checkpoint, in pieces of rows, in the dtype of its source.
class MergedTensor {
 public:
  /// Reads the folded norm. Errors: those of the source, NOT_FOUND for a tensor that is missing.
  static Result<MergedTensor> open(const TensorSource& source, const TensorMerge& merge);

  int64_t rows() const { return rows_; }
  int64_t row_bytes() const;
  /// The least number of rows that can be read, of which every read takes a multiple.
  int64_t rows_step() const { return merge_->row_block == 0 ? 1 : merge_->row_block; }
  /// `out`: count * row_bytes() bytes, rounded to the dtype.
  Status read(int64_t first_row, int64_t count, void* out) const;

 private:
  MergedTensor() = default;

  const TensorSource* source_ = nullptr;
  const TensorMerge* merge_ = nullptr;
  TensorSpec spec_;  // of the source
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<double> folded_;
};

}  // namespace rotor
