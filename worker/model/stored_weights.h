// Weights of a checkpoint, read by one process for itself.
//
// Thread-safety: as the source's. Fails: NOT_FOUND for a tensor that is missing, INVALID_ARGUMENT
// for one of more than two dimensions, and as the source reads. Cost: one read a call.
#pragma once

#include <string>

#include "quant/checkpoint/tensor_spec.h"
#include "worker/model/layer_weights.h"

namespace rotor::worker {

class StoredWeights final : public WeightSource {
 public:
  /// `source` must outlive this.
  explicit StoredWeights(const TensorSource& source) : source_(source) {}

  Result<Shape> shape(const std::string& name) override;
  Status read_rows(const std::string& name, int64_t row_begin, int64_t row_count,
                   void* dst) override;

 private:
  const TensorSource& source_;
};

}  // namespace rotor::worker
