#include "model/stored_scales.h"

#include <iterator>

#include "quant/format/codes.h"
#include "quant/format/finite.h"

namespace rotor {

Result<std::vector<float>> read_scales(const TensorSource& stored, const TensorSpec& scales,
                                       int64_t first, int64_t count) {
  const int64_t size = dtype_size(scales.dtype);
  std::vector<uint8_t> bytes(static_cast<size_t>(count * size));
  ROTOR_RETURN_IF_ERROR(stored.read(scales.name, first * size, bytes.data(), bytes.size()));
  const DType dtype = scales.dtype == DType::kF8E8M0 ? DType::kU8 : scales.dtype;
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] = decode_scale(dtype, bytes.data(), i);
  }
  ROTOR_RETURN_IF_ERROR(check_scales(scales.name, values));
  return values;
}

Status check_scales(const std::string& tensor, const std::vector<float>& scales) {
  const int64_t index = first_non_finite(scales.data(), std::ssize(scales));
  if (index < 0) {
    return {};
  }
  return invalid_argument("tensor " + tensor + " holds a scale that is " +
                          std::to_string(scales[static_cast<size_t>(index)]) +
                          ": fetch the model again")
      .with_reason("NOT_FINITE")
      .with_detail("tensor", tensor);
}

}  // namespace rotor
