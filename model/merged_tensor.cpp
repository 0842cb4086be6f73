#include "model/merged_tensor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/round_values.h"
#include "quant/format/bf16.h"
#include "quant/rotation/merge.h"

namespace rotor {
namespace {

Result<std::vector<double>> read_values(const TensorSource& source, const TensorSpec& spec,
                                        int64_t first, int64_t count) {
  const int64_t size = dtype_size(spec.dtype);
  std::vector<uint8_t> bytes(static_cast<size_t>(count * size));
  ROTOR_RETURN_IF_ERROR(source.read(spec.name, first * size, bytes.data(), bytes.size()));
  std::vector<float> wide(static_cast<size_t>(count));
  ROTOR_RETURN_IF_ERROR(widen_to_f32(bytes.data(), spec.dtype, count, wide.data()));
  return std::vector<double>(wide.begin(), wide.end());
}

}  // namespace

void store_values(const std::vector<double>& values, DType dtype, void* out) {
  const std::vector<float> narrow(values.begin(), values.end());
  round_values(narrow.data(), std::ssize(narrow), dtype, out);
}

Status merge_values(const TensorMerge& merge, const std::vector<double>& folded, int64_t first_row,
                    int64_t rows, int64_t cols, double* values, Parallel& parallel) {
  if (merge.norm) {
    std::fill_n(values, rows * cols, 1.0 - double{merge.norm_offset});
    return {};
  }
  std::vector<double> scale = folded;
  for (double& factor : scale) {
    factor += double{merge.norm_offset};
  }
  WeightMerge weight{scale, merge.column_block, 0};
  const int64_t plain = std::clamp<int64_t>(merge.first_row - first_row, 0, rows);
  ROTOR_RETURN_IF_ERROR(merge_rows(weight, plain, cols, values, parallel));
  weight.row_block = merge.row_block;
  return rows == plain ? Status()
                       : merge_rows(weight, rows - plain, cols, values + plain * cols, parallel);
}

Result<MergedTensor> MergedTensor::open(const TensorSource& source, const TensorMerge& merge) {
  MergedTensor tensor;
  tensor.source_ = &source;
  tensor.merge_ = &merge;
  const TensorSpec* spec = source.find(merge.source);
  if (spec == nullptr) {
    return missing_tensor("the model", merge.source);
  }
  tensor.spec_ = *spec;
  tensor.rows_ = spec->shape.front();
  tensor.cols_ = merge.vector ? 1 : spec->shape.back();
  if (!merge.folded.empty()) {
    const TensorSpec* norm = source.find(merge.folded);
    if (norm == nullptr) {
      return missing_tensor("the model", merge.folded);
    }
    ROTOR_ASSIGN_OR_RETURN(tensor.folded_, read_values(source, *norm, 0, tensor.cols_));
  }
  return tensor;
}

int64_t MergedTensor::row_bytes() const {
  return cols_ * dtype_size(spec_.dtype);
}

Status MergedTensor::read(int64_t first_row, int64_t count, void* out) const {
  ROTOR_ASSIGN_OR_RETURN(std::vector<double> values,
                         read_values(*source_, spec_, first_row * cols_, count * cols_));
  SerialParallel serial;
  ROTOR_RETURN_IF_ERROR(
      merge_values(*merge_, folded_, first_row, count, cols_, values.data(), serial));
  store_values(values, spec_.dtype, out);
  return {};
}

}  // namespace rotor
