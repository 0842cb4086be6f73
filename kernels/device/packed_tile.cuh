// The bits of a packed weight, and their way into the fragments of a tensor core product.
//
// A step of a tile is 16 rows by 16 columns, the A operand of mma.m16n8k16 and of a warp's share of
// wgmma. Lane 4 g + t has one word of eight codes, four pairs of neighbours in the order of the
// fragment's registers: columns 2 t and 2 t + 1 of rows g and g + 8, then columns 2 t + 8 and
// 2 t + 9 of both. The first code of a pair has its bits in the lower half of the word, the second
// in the upper one.
//
// INT4: pair p in bits 4 p to 4 p + 3 of each half. E2M1: where a shift and a mask put sign and
// magnitude to their places in a BF16, whose value is then 2^-126 times the code's:
//
//   pair  sign  magnitude
//   0     15    8 7 6     where they are
//   1     12    5 4 3     shifted left by 3
//   2     9     2 1 0     shifted left by 6
//   3     14    13 10 11  one by one
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/device/number_formats.cuh"
#include "kernels/device/tensor_core.cuh"
#include "kernels/packed_layout.h"
#include "quant/scheme.h"

namespace rotor::kernels {

/// Bits of pair `pair`, a half of the word each, from two codes.
template <bool kInt4>
__device__ __forceinline__ uint32_t place_pair(int pair, uint32_t first, uint32_t second) {
  const uint32_t both = first | second << 16;
  if constexpr (kInt4) {
    return both << (4 * pair);
  } else {
    const uint32_t sign = both >> 3 & 0x00010001U;
    const uint32_t magnitude = both & 0x00070007U;
    if (pair < 3) {
      return sign << (15 - 3 * pair) | magnitude << (6 - 3 * pair);
    }
    return sign << 14 | (magnitude >> 2 & 0x00010001U) << 13 |
           (magnitude >> 1 & 0x00010001U) << 10 | (magnitude & 0x00010001U) << 11;
  }
}

__device__ __forceinline__ uint32_t multiply_pairs(uint32_t pair, uint32_t factor) {
  const __nv_bfloat162 product = __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&pair),
                                         *reinterpret_cast<const __nv_bfloat162*>(&factor));
  return *reinterpret_cast<const uint32_t*>(&product);
}

/// The codes' values as BF16.
template <bool kInt4>
__device__ __forceinline__ void decode_fragment(uint32_t word, Fragment& fragment) {
  if constexpr (kInt4) {
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      // 128 + nibble: a BF16 of that exponent counts in ones.
      const uint32_t raised = (word >> (4 * pair) & 0x000F000FU) | 0x43004300U;
      constexpr uint32_t kOffset = 0x43084308U;  // 136
      const __nv_bfloat162 value = __hsub2(*reinterpret_cast<const __nv_bfloat162*>(&raised),
                                           *reinterpret_cast<const __nv_bfloat162*>(&kOffset));
      fragment[pair] = *reinterpret_cast<const uint32_t*>(&value);
    }
  } else {
    constexpr uint32_t kBits = 0x81C081C0U;
    constexpr uint32_t kRaise = 0x7E807E80U;  // 2^126
    fragment[0] = word & kBits;
    fragment[1] = word << 3 & kBits;
    fragment[2] = word << 6 & kBits;
    fragment[3] = (word << 1 & 0x80008000U) | (word >> 5 & 0x01400140U) | (word >> 3 & 0x00800080U);
#pragma unroll
    for (uint32_t& pair : fragment) {
      pair = multiply_pairs(pair, kRaise);
    }
  }
}

/// What two neighbouring stored scales are worth, of rows g and g + 8.
struct ScalePair {
  float upper;
  float lower;
};

/// Scales of one lane's rows in a chunk.
template <Format kFormat, int kStepsAScale>
struct ChunkScales {
  static constexpr int kPairs = kChunkSteps / kStepsAScale;
  static constexpr int kBytes = kPairs * 2 * (kFormat == Format::kInt4 ? 4 : 1);
  static constexpr int kWords = kBytes / 4;

  uint32_t word[kWords];

  __device__ __forceinline__ ScalePair pair(int index) const {
    if constexpr (kFormat == Format::kInt4) {
      return {__uint_as_float(word[2 * index]), __uint_as_float(word[2 * index + 1])};
    } else if constexpr (kFormat == Format::kNvfp4) {
      const auto bytes = static_cast<__nv_fp8x2_storage_t>(word[index / 2] >> (index % 2 * 16));
      const float2 both = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(bytes, __NV_E4M3)));
      return {both.x, both.y};
    } else {
      const uint32_t bytes = word[index / 2] >> (index % 2 * 16);
      return {power(bytes & 0xFFU), power(bytes >> 8 & 0xFFU)};
    }
  }

 private:
  static __device__ __forceinline__ float power(uint32_t byte) {
    // 255 stands for NaN; 0 is a subnormal number.
    return byte == 255 ? __uint_as_float(0x7FC00000U) : device_e8m0_decode(static_cast<int>(byte));
  }
};

}  // namespace rotor::kernels
