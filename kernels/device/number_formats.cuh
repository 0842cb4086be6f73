// The number formats of quant/format on the device, to the same bits. They are written again
// because std::copysign, std::nearbyint and tables in host memory do not exist in kernels; the
// tests hold the two against each other.
//
// Every operation whose rounding matters is an intrinsic that the compiler neither fuses nor
// replaces.
#pragma once

#include <cuda_fp8.h>

#include <cstdint>

#include "quant/format/e2m1.h"
#include "quant/format/e8m0.h"
#include "quant/format/int4.h"

namespace rotor::kernels {

inline constexpr uint32_t kMagnitudeBits = 0x7FFFFFFFU;
inline constexpr uint32_t kInfinityBits = 0x7F800000U;

/// e2m1_round; see there why the additions round.
__device__ __forceinline__ float device_e2m1_round(float value) {
  const uint32_t bits = min(__float_as_uint(value) & kMagnitudeBits, __float_as_uint(kE2m1Max));
  const float p = __uint_as_float(max(bits & kInfinityBits, __float_as_uint(1.0F)));
  const float shift = __fmul_rn(p, 0x1.8p22F);
  const float rounded = __fadd_rn(__fadd_rn(__uint_as_float(bits), shift), -shift);
  return __fadd_rn(copysignf(rounded, value), 0.0F);  // -0 + 0 is +0
}

/// e2m1_code: the inverse of device_e2m1_decode.
__device__ __forceinline__ uint8_t device_e2m1_code(float rounded) {
  const uint32_t magnitude = __float_as_uint(__fmul_rn(fabsf(rounded), 0x1p-126F)) >> 22;
  return static_cast<uint8_t>(magnitude | (__float_as_uint(rounded) >> 28 & 8U));
}

/// int4_round.
__device__ __forceinline__ float device_int4_round(float value) {
  return __fadd_rn(fminf(fmaxf(rintf(value), kInt4Min), kInt4Max), 0.0F);
}

/// e8m0_activation_byte.
__device__ __forceinline__ int device_e8m0_activation_byte(float absmax) {
  const uint32_t bits = __float_as_uint(absmax);
  const int above = (bits & 0x600000U) == 0x600000U ? 1 : 0;
  return min(max(static_cast<int>(bits >> 23) - 2 + above, 0), int{kE8m0MaxByte});
}

/// e8m0_floor.
__device__ __forceinline__ int device_e8m0_floor(float absmax) {
  return min(static_cast<int>(__float_as_uint(absmax) >> 23), int{kE8m0MaxByte});
}

/// e8m0_decode of a byte up to 254.
__device__ __forceinline__ float device_e8m0_decode(int byte) {
  return byte == 0 ? 0x1p-127F : __uint_as_float(static_cast<uint32_t>(byte) << 23);
}

/// e2m1_decode of the low four bits. A code's exponent and mantissa bits, put where F32 has its
/// own, are its magnitude times 2^-126; F32's subnormals are E2M1's.
__device__ __forceinline__ float device_e2m1_decode(uint32_t code) {
  return __fmul_rn(__uint_as_float((code & 7U) << 22 | (code & 8U) << 28), 0x1p126F);
}

/// int4_decode of the low four bits: 2^23 holds the nibble in its last bits.
__device__ __forceinline__ float device_int4_decode(uint32_t code) {
  return __fadd_rn(__uint_as_float(0x4B000000U | (code & 15U)), -(0x1p23F + 8.0F));
}

/// int4_code.
__device__ __forceinline__ uint8_t device_int4_code(float rounded) {
  return static_cast<uint8_t>(static_cast<int>(rounded) + 8);
}

/// The 4-bit rounding of each format as a type, as quant/format/rounding.h has it for the CPU.
struct DeviceE2m1 {
  static __device__ __forceinline__ float round(float x) { return device_e2m1_round(x); }
  static __device__ __forceinline__ uint8_t code(float rounded) {
    return device_e2m1_code(rounded);
  }
  static __device__ __forceinline__ float decode(uint32_t code) { return device_e2m1_decode(code); }
};

struct DeviceInt4 {
  static __device__ __forceinline__ float round(float x) { return device_int4_round(x); }
  static __device__ __forceinline__ uint8_t code(float rounded) {
    return device_int4_code(rounded);
  }
  static __device__ __forceinline__ float decode(uint32_t code) { return device_int4_decode(code); }
};

}  // namespace rotor::kernels
