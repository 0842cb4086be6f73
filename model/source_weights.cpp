#include "model/source_weights.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace rotor {

Result<std::unique_ptr<const SourceWeights>> SourceWeights::make(
    std::shared_ptr<const CheckpointReader> checkpoint, DecodedTensors decoded,
    const std::vector<std::string>& left_out) {
  auto made = std::unique_ptr<SourceWeights>(new SourceWeights);
  std::unordered_set<std::string> parts(left_out.begin(), left_out.end());
  for (const auto& tensor : decoded) {
    for (std::string& part : tensor->parts()) {
      parts.insert(std::move(part));
    }
  }
  for (const TensorSpec& stored : checkpoint->tensors()) {
    if (!parts.contains(stored.name)) {
      made->places_.emplace(stored.name, made->tensors_.size());
      made->tensors_.push_back(stored);
    }
  }
  for (const auto& tensor : decoded) {
    const std::string& name = tensor->spec().name;
    if (!made->places_.emplace(name, made->tensors_.size()).second) {
      return invalid_argument(checkpoint->directory() + ": tensor " + name +
                              " is there twice: as such, and in quantized form (" +
                              tensor->parts().front() + "); remove one of the two")
          .with_reason("BAD_CHECKPOINT")
          .with_detail("tensor", name);
    }
    made->tensors_.push_back(tensor->spec());
    made->by_name_.emplace(name, tensor.get());
  }
  made->checkpoint_ = std::move(checkpoint);
  made->decoded_ = std::move(decoded);
  return std::unique_ptr<const SourceWeights>(std::move(made));
}

const TensorSpec* SourceWeights::find(const std::string& name) const {
  const auto at = places_.find(name);
  return at == places_.end() ? nullptr : &tensors_[at->second];
}

const DecodedTensor* SourceWeights::decoder_of(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

Status SourceWeights::read(const std::string& name, int64_t offset, void* dst, size_t n) const {
  if (const DecodedTensor* decoder = decoder_of(name)) {
    return read_decoded(*decoder, offset, dst, n);
  }
  return places_.contains(name) ? checkpoint_->read(name, offset, dst, n)
                                : missing_tensor(checkpoint_->directory(), name);
}

Status SourceWeights::read_decoded(const DecodedTensor& tensor, int64_t offset, void* dst,
                                   size_t n) const {
  const TensorSpec& spec = tensor.spec();
  ROTOR_RETURN_IF_ERROR(check_range(spec, offset, n));
  if (n == 0) {
    return {};
  }
  const int64_t row_bytes = (spec.shape.empty() ? 1 : spec.shape.back()) * dtype_size(spec.dtype);
  const int64_t first = offset / row_bytes;
  const int64_t skip = offset % row_bytes;
  const auto end = offset + static_cast<int64_t>(n);
  const int64_t rows = (end + row_bytes - 1) / row_bytes - first;
  if (skip == 0 && end % row_bytes == 0) {
    return tensor.read_rows(*checkpoint_, first, rows, dst);
  }
  std::vector<char> whole(static_cast<size_t>(rows * row_bytes));
  ROTOR_RETURN_IF_ERROR(tensor.read_rows(*checkpoint_, first, rows, whole.data()));
  std::copy_n(whole.data() + skip, n, static_cast<char*>(dst));
  return {};
}

}  // namespace rotor
