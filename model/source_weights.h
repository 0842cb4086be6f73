// The weights of a model's checkpoint as the model has them: tensors that are stored as such pass
// through, the others are decoded as they are read (model/decoded_tensor.h).
//
// Owns: the open shards. Thread-safety: const members from any thread. Cost: names alone; a read of
// a decoded tensor works on whole rows, so pieces that begin and end with rows are decoded once.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/decoded_tensor.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

class SourceWeights final : public TensorSource {
 public:
  /// Stored tensors that are `left_out` are none of the model's. Error: INVALID_ARGUMENT, reason
  /// BAD_CHECKPOINT, for a tensor that is decoded and is stored as well.
  static Result<std::unique_ptr<const SourceWeights>> make(
      std::shared_ptr<const CheckpointReader> checkpoint, DecodedTensors decoded,
      const std::vector<std::string>& left_out);

  const TensorSpec* find(const std::string& name) const override;
  Status read(const std::string& name, int64_t offset, void* dst, size_t n) const override;

  /// What decodes a tensor; null for one that is stored as such, or is not there.
  const DecodedTensor* decoder_of(const std::string& name) const;

  /// All tensors of the model: those that are stored, in the checkpoint's order, then those that
  /// are decoded.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }

 private:
  SourceWeights() = default;
  Status read_decoded(const DecodedTensor& tensor, int64_t offset, void* dst, size_t n) const;

  std::shared_ptr<const CheckpointReader> checkpoint_;
  DecodedTensors decoded_;
  std::unordered_map<std::string, const DecodedTensor*> by_name_;  // in decoded_
  std::vector<TensorSpec> tensors_;
  std::unordered_map<std::string, size_t> places_;  // in tensors_
};

}  // namespace rotor
