#include "model/round_values.h"

#include <algorithm>

#include "quant/format/bf16.h"

namespace rotor {

void round_values(const float* values, int64_t count, DType dtype, void* out) {
  switch (dtype) {
    case DType::kBf16:
      std::transform(values, values + count, static_cast<uint16_t*>(out), f32_to_bf16);
      return;
    case DType::kF16:
      std::transform(values, values + count, static_cast<uint16_t*>(out), f32_to_f16);
      return;
    default:
      std::copy_n(values, count, static_cast<float*>(out));
  }
}

}  // namespace rotor
