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
    case 3:
      if (spec->shape[1] == 1) {  // taps of a convolution, column by column
        return Shape{spec->dtype, spec->shape[0], spec->shape[2]};
      }
      break;
    default:
      break;
  }
  return invalid_argument("tensor " + describe(*spec) + " " + name +
                          " is neither a vector nor a matrix")
      .with_reason("BAD_TENSOR_SHAPE")
      .with_detail("tensor", name);
}

Result<Tensor> StoredWeights::load(Backend& backend, const std::string& name, const Shape& shape) {
  ROTOR_ASSIGN_OR_RETURN(Tensor tensor, backend.allocate(shape.dtype, shape.rows, shape.cols));
  ROTOR_RETURN_IF_ERROR(loader_.load(backend, name, 0, tensor));
  return tensor;
}

}  // namespace rotor::worker
