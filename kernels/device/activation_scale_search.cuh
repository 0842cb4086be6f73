// The mse choice of quant/scales/scale_search.h for one group of activations in registers.
#pragma once

#include <cfloat>

#include "kernels/device/activation_scale.cuh"
#include "quant/format/e4m3.h"

namespace rotor::kernels {

/// The range of scales that mse searches, and its units, as ScaleCandidates has them.
struct ScaleSearchRange {
  int count;     // of candidates
  int steps_up;  // of the first above absmax's byte
};

/// absmax / 6 in units of the stored scale, as ScaleCandidates::absmax_byte rounds it.
template <Format kFormat>
__device__ __forceinline__ int search_byte(float absmax, const InputScale& input) {
  if constexpr (kFormat == Format::kNvfp4) {
    const bool multiplies = input.kind == GlobalScale::kMultiplier;
    const double up = multiplies ? 1.0 : static_cast<double>(input.stored);
    const double down = multiplies ? 6.0 * static_cast<double>(input.stored) : 6.0;
    return __nv_cvt_float_to_fp8(static_cast<float>(static_cast<double>(absmax) * up / down),
                                 __NV_SATFINITE, __NV_E4M3);
  } else {
    const double up = input.kind == GlobalScale::kThree ? 3.0 : 1.0;
    const uint32_t bits =
        __float_as_uint(static_cast<float>(static_cast<double>(absmax) * up / 6.0));
    return bits <= 0x400000U ? 0 : static_cast<int>((bits + 0x7FFFFFU) >> 23);  // e8m0_ceil
  }
}

/// `sum(f)` is the sum of f(value) over the group; `absmax` is finite.
template <Format kFormat, typename Sum>
__device__ __forceinline__ GroupScale search_scale(float absmax, const InputScale& input,
                                                   const ScaleSearchRange& range, Sum&& sum) {
  constexpr int kLargest = kFormat == Format::kNvfp4 ? int{kE4m3MaxByte} : int{kE8m0MaxByte};
  const bool empty = absmax < FLT_MIN;
  const float largest = empty ? 1.0F : absmax;
  const float shrink = __fdiv_rn(1.0F, largest);
  const int first = search_byte<kFormat>(largest, input) + range.steps_up;
  GroupScale best{};
  float least = INFINITY;
  for (int i = 0; i < range.count; ++i) {
    const auto byte = static_cast<uint32_t>(min(max(first - i, 1), kLargest));
    const float effective = effective_scale<kFormat>(byte, input);
    const float inverse = __fdiv_rn(largest, effective);
    const float unit = __fdiv_rn(effective, largest);
    const float error = sum([&](float value) {
      const float x = __fmul_rn(value, shrink);
      const float difference = __fmaf_rn(-device_e2m1_round(__fmul_rn(x, inverse)), unit, x);
      return __fmul_rn(difference, difference);
    });
    if (error < least) {
      least = error;
      best = {byte, effective};
    }
  }
  if (empty) {
    constexpr uint32_t kSmallest = kFormat == Format::kNvfp4 ? kE4m3MinByte : 0;
    return {kSmallest, effective_scale<kFormat>(kSmallest, input)};
  }
  // Should no sum be finite.
  return least < INFINITY ? best : activation_scale<kFormat>(absmax, input);
}

}  // namespace rotor::kernels
