#include "quant/checkpoint/memory_source.h"

#include <cstring>
#include <utility>

namespace rotor {

void MemorySource::add(StoredTensor tensor) {
  std::string name = tensor.spec.name;
  tensors_.insert_or_assign(std::move(name), std::move(tensor));
}

const TensorSpec* MemorySource::find(const std::string& name) const {
  const auto at = tensors_.find(name);
  return at == tensors_.end() ? nullptr : &at->second.spec;
}

Status MemorySource::read(const std::string& name, int64_t offset, void* dst, size_t n) const {
  const auto at = tensors_.find(name);
  if (at == tensors_.end()) {
    return missing_tensor("memory", name);
  }
  const StoredTensor& tensor = at->second;
  ROTOR_RETURN_IF_ERROR(check_range(tensor.spec, offset, n));
  if (tensor.bytes.size() != static_cast<size_t>(tensor.spec.byte_size())) {
    return internal_error("tensor " + name + ": " + std::to_string(tensor.bytes.size()) +
                          " bytes in memory, where " + describe(tensor.spec) + " has " +
                          std::to_string(tensor.spec.byte_size()));
  }
  if (n > 0) {
    std::memcpy(dst, tensor.bytes.data() + offset, n);
  }
  return {};
}

}  // namespace rotor
