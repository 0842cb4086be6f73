// Tensors in memory as a TensorSource: what a worker fetched of a committed layer, what a test
// made.
//
// Thread-safety: reads from any thread once all is added.
#pragma once

#include <map>
#include <string>

#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

class MemorySource final : public TensorSource {
 public:
  /// Replaces a tensor of the same name.
  void add(StoredTensor tensor);
  const TensorSpec* find(const std::string& name) const override;
  Status read(const std::string& name, int64_t offset, void* dst, size_t n) const override;

 private:
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace rotor
