// Loads and stores of several neighbouring values in one memory access, F32 or BF16 in memory and
// F32 in registers. Pointers are aligned to the access.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace rotor::kernels {

/// kCount 32-bit words that move in one access: 4, 8 or 16 bytes.
template <int kCount>
struct alignas(kCount * sizeof(uint32_t)) Words {
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
  const auto words = *reinterpret_cast<const Words<kCount / 2>*>(source);
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) {
    values[2 * i] = __uint_as_float(words.word[i] << 16);
    values[2 * i + 1] = __uint_as_float(words.word[i] & 0xFFFF0000U);
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

/// Rounds to nearest, ties to even.
template <int kCount>
__device__ __forceinline__ void store_values(__nv_bfloat16* destination,
                                             const float (&values)[kCount]) {
  Words<kCount / 2> words;
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(values[2 * i], values[2 * i + 1]);
    words.word[i] = *reinterpret_cast<const uint32_t*>(&pair);
  }
  *reinterpret_cast<Words<kCount / 2>*>(destination) = words;
}

}  // namespace rotor::kernels
