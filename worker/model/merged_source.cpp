#include "worker/model/merged_source.h"

#include <cstdint>

#include "model/merged_tensor.h"
#include "quant/format/bf16.h"

namespace rotor::worker {

Result<WeightSource::Shape> MergedSource::shape(const std::string& name) {
  const TensorMerge* merge = plan_.find(name);
  if (merge == nullptr) {
    return source_.shape(name);
  }
  ROTOR_ASSIGN_OR_RETURN(Shape shape, source_.shape(merge->source));
  shape.dtype = merge->exact ? DType::kF32 : shape.dtype;
  return shape;
}

Result<std::vector<double>> MergedSource::fetch(Backend& backend, const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const Shape shape, source_.shape(name));
  ROTOR_ASSIGN_OR_RETURN(const Tensor stored, source_.load(backend, name, shape));
  std::vector<uint8_t> bytes(stored.bytes());
  ROTOR_RETURN_IF_ERROR(backend.download(stored, bytes.data(), bytes.size()));
  std::vector<float> wide(static_cast<size_t>(shape.rows * shape.cols));
  ROTOR_RETURN_IF_ERROR(widen_to_f32(bytes.data(), shape.dtype, std::ssize(wide), wide.data()));
  return std::vector<double>(wide.begin(), wide.end());
}

Result<Tensor> MergedSource::load(Backend& backend, const std::string& name, const Shape& shape) {
  const TensorMerge* merge = plan_.find(name);
  if (merge == nullptr) {
    return source_.load(backend, name, shape);
  }
  std::vector<double> folded;
  if (!merge->folded.empty()) {
    ROTOR_ASSIGN_OR_RETURN(folded, fetch(backend, merge->folded));
  }
  ROTOR_ASSIGN_OR_RETURN(std::vector<double> values, fetch(backend, merge->source));
  // A vector is one row here.
  const int64_t rows = merge->vector ? shape.cols : shape.rows;
  const int64_t cols = merge->vector ? 1 : shape.cols;
  ROTOR_RETURN_IF_ERROR(merge_values(*merge, folded, 0, rows, cols, values.data(), serial_));
  ROTOR_ASSIGN_OR_RETURN(const Tensor tensor,
                         backend.allocate(shape.dtype, shape.rows, shape.cols));
  std::vector<uint8_t> bytes(tensor.bytes());
  store_values(values, shape.dtype, bytes.data());
  ROTOR_RETURN_IF_ERROR(backend.upload(bytes.data(), bytes.size(), tensor));
  return tensor;
}

}  // namespace rotor::worker
