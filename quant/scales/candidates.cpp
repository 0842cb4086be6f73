#include "quant/scales/candidates.h"

#include <algorithm>
#include <bit>

#include "quant/format/bf16.h"
#include "quant/format/codes.h"
#include "quant/format/e2m1.h"
#include "quant/format/e4m3.h"
#include "quant/format/e8m0.h"
#include "quant/format/int4.h"

namespace rotor {
namespace {

// None above what absmax asks for: larger scales lower the squared error a little, but grow the
// weights on average, and models lose by that (docs/quality.md has the figures).
constexpr int kE4m3StepsUp = 0;
constexpr int kE4m3StepsDown = 16;  // eight steps are one octave
constexpr int kE8m0StepsUp = 1;
constexpr int kE8m0StepsDown = 2;

int count_of(Format format) {
  switch (format) {
    case Format::kNvfp4:
      return kE4m3StepsUp + 1 + kE4m3StepsDown;
    case Format::kMxfp4:
      return kE8m0StepsUp + 1 + kE8m0StepsDown;
    case Format::kInt4:
      return ScaleCandidates::kInt4First - ScaleCandidates::kInt4Last + 1;
  }
  return 0;
}
static_assert(ScaleCandidates::kInt4First - ScaleCandidates::kInt4Last + 1 <=
              ScaleCandidates::kMaxCount);
static_assert(kE4m3StepsUp + 1 + kE4m3StepsDown <= ScaleCandidates::kMaxCount);

}  // namespace

int ScaleCandidates::steps_up(Format format) {
  return format == Format::kNvfp4 ? kE4m3StepsUp : kE8m0StepsUp;
}

ScaleCandidates::ScaleCandidates(const QuantScheme& scheme, float global_scale)
    : scheme_(scheme),
      global_scale_(global_scale),
      unit_up_(scheme.global == GlobalScale::kMultiplier ? 1.0 : double{global_scale}),
      unit_down_(scheme.global == GlobalScale::kMultiplier ? 6.0 * double{global_scale} : 6.0),
      count_(count_of(scheme.format)) {
  if (scheme.format != Format::kInt4) {
    std::array<uint8_t, 256> bytes{};
    for (size_t byte = 0; byte < bytes.size(); ++byte) {
      bytes[byte] = static_cast<uint8_t>(byte);
    }
    effective_scales(scheme, bytes.data(), 256, global_scale, by_byte_.data());
  }
}

ScaleCandidate ScaleCandidates::byte_candidate(int32_t byte) const {
  const int32_t largest = scheme_.format == Format::kNvfp4 ? kE4m3MaxByte : kE8m0MaxByte;
  const int32_t clamped = std::clamp(byte, 1, largest);
  return {static_cast<uint32_t>(clamped), by_byte_[static_cast<size_t>(clamped)]};
}

ScaleCandidate ScaleCandidates::rounded_candidate(float scale) const {
  const float unit = scale * global_scale_;
  uint32_t stored = 0;
  switch (scheme_.scale_dtype) {
    case DType::kBf16:
      stored = std::clamp<uint16_t>(f32_to_bf16(unit), 0x0080, 0x7F7F);
      break;
    case DType::kF16:
      stored = std::clamp<uint16_t>(f32_to_f16(unit), 0x0001, 0x7BFF);
      break;
    default:
      stored = std::bit_cast<uint32_t>(std::clamp(unit, 0x1p-126F, 0x1.fffffep127F));
      break;
  }
  static_assert(std::endian::native == std::endian::little);
  const auto bytes = std::bit_cast<std::array<uint8_t, 4>>(stored);
  return {stored, decode_scale(scheme_.scale_dtype, bytes.data(), 0) / global_scale_};
}

int32_t ScaleCandidates::absmax_byte(float absmax) const {
  // In F64, so that a power of two stays one through the division by 6.
  const auto unit = static_cast<float>(double{absmax} * unit_up_ / unit_down_);
  return scheme_.format == Format::kNvfp4 ? e4m3_encode(unit) : e8m0_ceil(unit);
}

ScaleCandidate ScaleCandidates::absmax_candidate(float absmax) const {
  switch (scheme_.format) {
    case Format::kNvfp4:
      break;
    case Format::kMxfp4:
      return byte_candidate(scheme_.global == GlobalScale::kThree ? e8m0_floor(absmax)
                                                                  : e8m0_activation_byte(absmax));
    case Format::kInt4:
      return rounded_candidate(absmax / kInt4Range);
  }
  return byte_candidate(absmax_byte(absmax));
}

void ScaleCandidates::all(float absmax, ScaleCandidate* out) const {
  if (scheme_.format == Format::kInt4) {
    for (int i = 0; i < count_; ++i) {
      out[i] =
          rounded_candidate(absmax / kInt4Range * (static_cast<float>(kInt4First - i) / 32.0F));
    }
    return;
  }
  const int32_t first = absmax_byte(absmax) + steps_up(scheme_.format);
  for (int i = 0; i < count_; ++i) {
    out[i] = byte_candidate(first - i);
  }
}

ScaleCandidate ScaleCandidates::smallest() const {
  switch (scheme_.format) {
    case Format::kNvfp4:
      return {kE4m3MinByte, by_byte_[kE4m3MinByte]};
    case Format::kMxfp4:
      return {0, by_byte_[0]};
    case Format::kInt4:
      return rounded_candidate(0.0F);
  }
  return {};
}

}  // namespace rotor
