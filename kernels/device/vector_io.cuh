// Loads and stores of several neighbouring values in one memory access or, beyond 16 bytes, in
// accesses of 16; F32 or BF16 (for loads F16 too) in memory and F32 in registers. Pointers are
// aligned to the access. One value alone is a count of 1.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace rotor::kernels {

/// kCount 32-bit words that move in accesses of up to 16 bytes.
template <int kCount>
struct alignas(kCount < 4 ? kCount * sizeof(uint32_t) : 16) Words {
  uint32_t word[kCount];
};

template <int kCount>
__device__ __forceinline__ void load_values(const float* source, float (&values)[kCount]) {
  const auto words = *reinterpret_cast<const Words<kCount>*>(source);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = __uint_as_float(words.word[i]);
  }
}

template <int kCount>
__device__ __forceinline__ void load_values(const __nv_bfloat16* source, float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    values[0] = __bfloat162float(*source);
  } else {
    const auto words = *reinterpret_cast<const Words<kCount / 2>*>(source);
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      values[2 * i] = __uint_as_float(words.word[i] << 16);
      values[2 * i + 1] = __uint_as_float(words.word[i] & 0xFFFF0000U);
    }
  }
}

template <int kCount>
__device__ __forceinline__ void load_values(const __half* source, float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    values[0] = __half2float(*source);
  } else {
    const auto words = *reinterpret_cast<const Words<kCount / 2>*>(source);
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      const float2 pair = __half22float2(*reinterpret_cast<const __half2*>(&words.word[i]));
      values[2 * i] = pair.x;
      values[2 * i + 1] = pair.y;
    }
  }
}

template <int kCount>
__device__ __forceinline__ void store_values(float* destination, const float (&values)[kCount]) {
  Words<kCount> words;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    words.word[i] = __float_as_uint(values[i]);
  }
  *reinterpret_cast<Words<kCount>*>(destination) = words;
}

/// Two BF16 in one word, `low` in its low half: rounded to nearest, ties to even.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

/// Rounds to nearest, ties to even.
template <int kCount>
__device__ __forceinline__ void store_values(__nv_bfloat16* destination,
                                             const float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    *destination = __float2bfloat16_rn(values[0]);
  } else {
    Words<kCount / 2> words;
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      words.word[i] = pack_bf16(values[2 * i], values[2 * i + 1]);
    }
    *reinterpret_cast<Words<kCount / 2>*>(destination) = words;
  }
}

}  // namespace rotor::kernels
