#include "quant/checkpoint/verify_module.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "quant/base/sha256.h"
#include "quant/checkpoint/finite_tensor.h"
#include "quant/format/codes.h"
#include "quant/format/finite.h"

namespace rotor {
namespace {

constexpr int64_t kPiece = int64_t{1} << 20;  // elements of F32, or bytes

/// A stack [E, R, ...] as the one matrix [E R, ...] that it is in memory; stored_shape has refused
/// one where the layout has none.
std::vector<int64_t> as_matrix(const std::vector<int64_t>& shape) {
  if (shape.size() < 3) {
    return shape;
  }
  return {shape[0] * shape[1],
          std::accumulate(shape.begin() + 2, shape.end(), int64_t{1}, std::multiplies<>())};
}

void check_specs(const CheckpointLayout& layout, const StoredQuantization& quantization,
                 const TensorSource& source, const QuantizedModule& shape, ModuleCheck& check) {
  for (const TensorSpec& wanted :
       layout.tensor_specs(shape, quantization.scheme, quantization.activations)) {
    const TensorSpec* found = source.find(wanted.name);
    // INT4 scales may have any of three dtypes; stored_shape has looked at them.
    const bool same = found != nullptr && as_matrix(found->shape) == wanted.shape &&
                      (found->dtype == wanted.dtype || quantization.scheme.format == Format::kInt4);
    if (!same) {
      check.problems.push_back({wanted.name,
                                (found == nullptr ? "missing" : "is " + describe(*found)) +
                                    std::string(", where ") + describe(wanted) + " is needed",
                                kQuantizeAgain});
    }
  }
}

// Counts the scales that an engine cannot multiply with; the first is named.
class ScaleCheck {
 public:
  void add(const QuantizedMatrix& matrix, int64_t first_row) {
    const int64_t groups = matrix.groups();
    for (int64_t i = 0; i < matrix.rows * groups; ++i) {
      const float scale = decode_scale(matrix.scheme.scale_dtype, matrix.scales.data(), i);
      if (std::isfinite(scale) && scale > 0.0F) {
        continue;
      }
      if (bad_++ == 0) {
        first_ = std::to_string(scale) + " at row " + std::to_string(first_row + i / groups) +
                 ", group " + std::to_string(i % groups);
      }
    }
  }
  void report(std::string_view tensor, ModuleCheck& check) const {
    if (bad_ > 0) {
      check.problems.push_back(
          {check.name + std::string(tensor),
           std::to_string(bad_) + " scales are not positive and finite, the first " + first_,
           kQuantizeAgain});
    }
  }

 private:
  int64_t bad_ = 0;
  std::string first_;
};

Status decode_and_digest(const CheckpointLayout& layout, const QuantScheme& scheme,
                         const TensorSource& source, ModuleCheck& check) {
  const int64_t rows = check.module.rows;
  const int64_t cols = check.module.cols;
  const int64_t block = std::clamp<int64_t>(kPiece / cols, 1, rows);
  std::vector<float> values(static_cast<size_t>(block * cols));
  Sha256 sha;
  ScaleCheck scales;
  int64_t overflow_row = -1;
  for (int64_t row = 0; row < rows; row += block) {
    const int64_t count = std::min(block, rows - row);
    ROTOR_ASSIGN_OR_RETURN(const QuantizedMatrix matrix,
                           layout.decode_rows(check.name, scheme, source, row, count));
    scales.add(matrix, row);
    ROTOR_RETURN_IF_ERROR(dequantize_rows(matrix, 0, count, values.data()));
    const int64_t at = first_non_finite(values.data(), count * cols);
    if (at >= 0 && overflow_row < 0) {
      overflow_row = row + at / cols;
    }
    sha.update(values.data(), static_cast<size_t>(count * cols) * sizeof(float));
    check.global_scale = matrix.global_scale;
    check.input_global_scale = matrix.input_global_scale;
  }
  scales.report(layout.table(scheme).scales, check);
  if (overflow_row >= 0) {
    check.problems.push_back(
        {check.name, "decodes to a value that is not finite in row " + std::to_string(overflow_row),
         kQuantizeAgain});
  }
  check.module.digest = sha.hex();
  return {};
}

}  // namespace

ModuleCheck verify_module(const CheckpointLayout& layout, const StoredQuantization& quantization,
                          const TensorSource& source, const std::string& name) {
  ModuleCheck check;
  check.name = name;
  const auto shape = layout.stored_shape(name, quantization.scheme, source);
  if (!shape.ok()) {
    check.problems.push_back(problem_of(shape.status(), name, kQuantizeAgain));
    return check;
  }
  check.module.rows = shape->rows;
  check.module.cols = shape->cols;
  if (const StoredRotation* rotation = quantization.rotation_of(name)) {
    check.module.rotation = rotation->block;
  }
  check_specs(layout, quantization, source, *shape, check);
  const Status status = decode_and_digest(layout, quantization.scheme, source, check);
  if (!status.ok()) {
    check.problems.push_back(problem_of(status, name, kQuantizeAgain));
  }
  return check;
}

Result<std::string> tensor_digest(const TensorSource& source, const TensorSpec& spec) {
  const int64_t size = spec.byte_size();
  std::vector<char> piece(static_cast<size_t>(std::min(size, kPiece)));
  Sha256 sha;
  for (int64_t offset = 0; offset < size; offset += kPiece) {
    const auto n = static_cast<size_t>(std::min(kPiece, size - offset));
    ROTOR_RETURN_IF_ERROR(source.read(spec.name, offset, piece.data(), n));
    ROTOR_RETURN_IF_ERROR(check_finite_piece(spec, offset, piece.data(), n));
    sha.update(piece.data(), n);
  }
  return sha.hex();
}

VerifyProblem problem_of(const Status& status, const std::string& subject,
                         const std::string& remedy) {
  const auto tensor = status.details().find("tensor");
  return {tensor == status.details().end() ? subject : tensor->second, status.message(), remedy};
}

}  // namespace rotor
