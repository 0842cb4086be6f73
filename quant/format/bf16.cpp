#include "quant/format/bf16.h"

#include <cmath>
#include <cstring>
#include <string>

namespace rotor {

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000U) << 16;
  const uint32_t magnitude = bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) {  // infinity, NaN
    return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  }
  if (magnitude < 0x400U) {  // zero, subnormal: a multiple of 2^-24
    return std::copysign(static_cast<float>(magnitude) * 0x1p-24F, std::bit_cast<float>(sign));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112U << 23)));
}

uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {  // NaN: keep it one, quiet
    return static_cast<uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));
  }
  if (magnitude < 0x38800000U) {  // below 2^-14, the smallest normal F16
    const float steps = std::nearbyint(std::bit_cast<float>(magnitude) * 0x1p24F);
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(steps));
  }
  const uint32_t rounded = (magnitude - (112U << 23) + 0xFFFU + ((magnitude >> 13) & 1U)) >> 13;
  return static_cast<uint16_t>(sign | (rounded < 0x7C00U ? rounded : 0x7C00U));
}

Status widen_to_f32(const void* src, DType dtype, int64_t count, float* dst) {
  const auto* halves = static_cast<const uint16_t*>(src);
  switch (dtype) {
    case DType::kBf16:
      for (int64_t i = 0; i < count; ++i) {
        dst[i] = bf16_to_f32(halves[i]);
      }
      return {};
    case DType::kF16:
      for (int64_t i = 0; i < count; ++i) {
        dst[i] = f16_to_f32(halves[i]);
      }
      return {};
    case DType::kF32:
      if (src != dst) {
        std::memcpy(dst, src, static_cast<size_t>(count) * sizeof(float));
      }
      return {};
    default:
      return invalid_argument("cannot widen " + std::string(dtype_name(dtype)) +
                              " to F32: only BF16, F16 and F32 hold weights")
          .with_reason("BAD_WEIGHT_DTYPE");
  }
}

}  // namespace rotor
