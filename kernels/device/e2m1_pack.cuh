// Quotients to packed E2M1 codes in few instructions, with the bits of e2m1_round and e2m1_code.
//
// E2M1's index of a magnitude a is round(f(a)), ties to even, of f(a) = min(2 a, a + 2, a / 2 + 4):
// one line for each step between its values. Each line is rounded by a conversion to F16, whose
// subnormal numbers are multiples of 2^-24: a value times 2^-24 becomes the integer nearest to it.
// Rounding is monotone and the offsets are even, so the least of the rounded lines is the rounded
// least. Two values are worked on in the halves of a word.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace rotor::kernels {

/// What quotients come times: 2 a is then a number of F16's smallest steps.
inline constexpr float kPackUnit = 0x1p-23F;
/// Below it a quotient stays within F16.
inline constexpr float kPackLimit = 0x1p16F;

__device__ __forceinline__ uint32_t to_half_bits(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

/// Four bytes, each the sign of one of the eight bytes of low and high, which kBytes chooses.
template <uint32_t kBytes>
__device__ __forceinline__ uint32_t signs_of_bytes(uint32_t low, uint32_t high) {
  uint32_t result = 0;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(low), "r"(high), "n"(kBytes | 0x8888U));
  return result;
}

/// Indices of two quotients in the halves of a word; `signs` has theirs in bits 15 and 31.
__device__ __forceinline__ uint32_t e2m1_indices(float low, float high, uint32_t& signs) {
  signs = to_half_bits(low, high);
  const uint32_t twice = signs & 0x7FFF7FFFU;
  const uint32_t once = to_half_bits(fabsf(low) * 0.5F, fabsf(high) * 0.5F);
  const uint32_t half = to_half_bits(fabsf(low) * 0.25F, fabsf(high) * 0.25F);
  uint32_t index = __viaddmin_u16x2(once, 0x00020002U, 0x00070007U);
  index = __viaddmin_u16x2(half, 0x00040004U, index);
  return __viaddmin_u16x2(twice, 0U, index);
}

/// Codes of eight quotients, the first in the lowest nibble; |quotient| < kPackLimit, times
/// kPackUnit.
__device__ __forceinline__ uint32_t e2m1_pack(const float* quotients) {
  uint32_t signs[4];
  uint32_t codes = 0;
#pragma unroll
  for (int i = 3; i >= 0; --i) {
    codes = codes * 16 + e2m1_indices(quotients[i], quotients[i + 4], signs[i]);
  }
  // A byte of ones for each negative value: bytes 1 and 3 of a word of signs are of elements i, i +
  // 4, so the even ones make one word of bytes and the odd ones another.
  const uint32_t even = signs_of_bytes<0x7351>(signs[0], signs[2]);
  const uint32_t odd = signs_of_bytes<0x7351>(signs[1], signs[3]);
  const uint32_t negative = (even & 0x08080808U) | (odd & 0x80808080U);
  const uint32_t not_zero = codes + 0x77777777U;  // in the highest bit of each nibble
  return codes | (negative & not_zero);
}

}  // namespace rotor::kernels
