#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

std::optional<int64_t> checked_byte_size(DType dtype, const std::vector<int64_t>& shape) {
  constexpr int64_t kMax = (int64_t{1} << 48) - 1;
  int64_t bytes = dtype_size(dtype);
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || (dimension > 0 && bytes > kMax / dimension)) {
      return std::nullopt;
    }
    empty = empty || dimension == 0;
    bytes *= dimension == 0 ? 1 : dimension;
  }
  return empty ? 0 : bytes;
}

int64_t TensorSpec::byte_size() const {
  int64_t bytes = dtype_size(dtype);
  for (const int64_t dimension : shape) {
    bytes *= dimension;
  }
  return bytes;
}

std::string describe(const TensorSpec& spec) {
  std::string out(dtype_name(spec.dtype));
  out += " [";
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    out += i == 0 ? "" : ", ";
    out += std::to_string(spec.shape[i]);
  }
  return out + "]";
}

Result<std::vector<uint8_t>> read_tensor(const TensorSource& source, const std::string& name) {
  const TensorSpec* spec = source.find(name);
  std::vector<uint8_t> bytes(spec == nullptr ? 0 : static_cast<size_t>(spec->byte_size()));
  ROTOR_RETURN_IF_ERROR(source.read(name, 0, bytes.data(), bytes.size()));
  return bytes;
}

Status missing_tensor(const std::string& place, const std::string& name) {
  return not_found(
             place + ": no tensor " + name +
             "; the checkpoint is incomplete or its names differ: compare with `rotor inspect`")
      .with_reason("MISSING_TENSOR")
      .with_detail("tensor", name);
}

Status check_range(const TensorSpec& spec, int64_t offset, size_t n) {
  const int64_t size = spec.byte_size();
  if (offset < 0 || offset > size || n > static_cast<size_t>(size - offset)) {
    return out_of_range("tensor " + spec.name + ": bytes " + std::to_string(offset) + " + " +
                        std::to_string(n) + " of " + std::to_string(size))
        .with_reason("BAD_RANGE")
        .with_detail("tensor", spec.name);
  }
  return {};
}

}  // namespace rotor
