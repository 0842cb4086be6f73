#include "worker/model/stored_weights.h"

namespace rotor::worker {

Result<WeightSource::Shape> StoredWeights::shape(const std::string& name) {
  const TensorSpec* spec = source_.find(name);
  if (spec == nullptr) {
    return not_found("tensor " + name + " is missing from the checkpoint")
        .with_reason("MISSING_TENSOR")
        .with_detail("tensor", name);
  }
  switch (spec->shape.size()) {
    case 1:
      return Shape{spec->dtype, 1, spec->shape[0]};
    case 2:
      return Shape{spec->dtype, spec->shape[0], spec->shape[1]};
    default:
      break;
  }
  return invalid_argument("tensor " + describe(*spec) + " " + name +
                          " is neither a vector nor a matrix")
      .with_reason("BAD_TENSOR_SHAPE")
      .with_detail("tensor", name);
}

Status StoredWeights::read_rows(const std::string& name, int64_t row_begin, int64_t row_count,
                                void* dst) {
  ROTOR_ASSIGN_OR_RETURN(const Shape stored, shape(name));
  const int64_t row_bytes = stored.cols * dtype_size(stored.dtype);
  return source_.read(name, row_begin * row_bytes, dst, static_cast<size_t>(row_count * row_bytes));
}

}  // namespace rotor::worker
