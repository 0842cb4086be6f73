// The scale of a group of activations from its largest magnitude, as quant/format/activations.h
// defines it, to the same bits.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "kernels/device/number_formats.cuh"
#include "quant/scheme.h"

namespace rotor::kernels {

/// The global scale of the whole input.
struct InputScale {
  GlobalScale kind;
  float divisor;     // G
  float stored;      // G or its reciprocal, as the layout keeps it
  float reciprocal;  // 1 / G
  /// G lies where quotients by group scales and their remainders are normal F32 numbers.
  bool ordinary;
};

/// `global_scale` as the layout keeps it: finite and positive, or 1 where the format has none.
__host__ __device__ inline InputScale make_input_scale(GlobalScale kind, float global_scale) {
  const float divisor = kind == GlobalScale::kMultiplier ? 1.0F / global_scale : global_scale;
  return {kind, divisor, global_scale, 1.0F / divisor, divisor >= 0x1p-60F && divisor <= 0x1p60F};
}

/// A scale as it is stored and what it is worth.
struct GroupScale {
  uint32_t byte;
  float effective;
};

/// x / y rounded to nearest, of `reciprocal` = 1 / y rounded to nearest: the remainder of a first
/// quotient corrects it (Markstein). Exact where x, y, the quotient and the remainder are neither
/// subnormal nor infinite.
__device__ __forceinline__ float divide(float x, float y, float reciprocal) {
  const float quotient = __fmul_rn(x, reciprocal);
  return __fmaf_rn(__fmaf_rn(-quotient, y, x), reciprocal, quotient);
}

/// 1 / x rounded to nearest, of an ordinary x: one step behind the hardware's approximation, as
/// __frcp_rn takes it where it need not look at its argument.
__device__ __forceinline__ float reciprocal_of(float x) {
  float near = 0.0F;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(near) : "f"(x));
  return __fmaf_rn(near, __fmaf_rn(-x, near, 1.0F), near);
}

/// What a byte of E4M3 is worth.
__device__ __forceinline__ float nvfp4_effective(uint32_t byte, const InputScale& input) {
  const float stored = __half2float(
      __half(__nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(byte), __NV_E4M3)));
  if (input.kind == GlobalScale::kMultiplier) {
    return __fmul_rn(stored, input.stored);
  }
  return input.ordinary ? divide(stored, input.stored, input.reciprocal)
                        : __fdiv_rn(stored, input.stored);
}

/// What a byte of E8M0 is worth.
__device__ __forceinline__ float mxfp4_effective(uint32_t byte, const InputScale& input) {
  const float power = device_e8m0_decode(static_cast<int>(byte));
  return input.kind == GlobalScale::kThree ? __fdiv_rn(power, 3.0F) : power;
}

template <Format kFormat>
__device__ __forceinline__ float effective_scale(uint32_t byte, const InputScale& input) {
  return kFormat == Format::kNvfp4 ? nvfp4_effective(byte, input) : mxfp4_effective(byte, input);
}

/// Of a finite absmax.
template <Format kFormat>
__device__ __forceinline__ GroupScale activation_scale(float absmax, const InputScale& input) {
  static_assert(kFormat == Format::kNvfp4 || kFormat == Format::kMxfp4);
  uint32_t byte = 0;
  if constexpr (kFormat == Format::kNvfp4) {
    // Whatever is above E4M3's range saturates, and what is far below becomes 0, however rounded.
    const float unit = fminf(__fmul_rn(input.divisor, absmax), 0x1p14F);
    constexpr float kSixth = 1.0F / kE2m1Max;
    byte = __nv_cvt_float_to_fp8(divide(unit, kE2m1Max, kSixth), __NV_SATFINITE, __NV_E4M3);
  } else {
    byte = static_cast<uint32_t>(input.kind == GlobalScale::kThree
                                     ? device_e8m0_floor(absmax)
                                     : device_e8m0_activation_byte(absmax));
  }
  return {byte, effective_scale<kFormat>(byte, input)};
}

}  // namespace rotor::kernels
