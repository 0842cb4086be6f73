// Weights of a checkpoint, read by one process for itself.
//
// Thread-safety: as the source's. Fails: NOT_FOUND for a tensor that is missing, INVALID_ARGUMENT
// for one of more than two dimensions, and as the source reads. Cost: as tensor_loader.h says.
#pragma once

#include <string>

#include "quant/checkpoint/tensor_spec.h"
#include "worker/model/layer_weights.h"
#include "worker/model/tensor_loader.h"

namespace rotor::worker {

class StoredWeights final : public WeightSource {
 public:
  /// `source` must outlive this.
  explicit StoredWeights(const TensorSource& source) : source_(source), loader_(source) {}

  Result<Shape> shape(const std::string& name) override;
  Result<Tensor> load(Backend& backend, const std::string& name, const Shape& shape) override;

 private:
  const TensorSource& source_;
  TensorLoader loader_;
};

}  // namespace rotor::worker
