#include "worker/bench/random_values.h"

#include <algorithm>
#include <bit>

namespace rotor::worker::bench {
namespace {

constexpr int64_t kPiece = int64_t{1} << 18;
// Of four bytes: their mean sum, and its standard deviation, sqrt(4 (256^2 - 1) / 12).
constexpr int32_t kMeanSum = 510;
constexpr float kSumDeviation = 147.80054F;

/// A bijection of 32 bits in which every bit depends on all, in operations that vectorize
/// (multiply, xor, shift; constants found by C. Wellons' search for low bias).
constexpr uint32_t mix(uint32_t x) {
  x ^= x >> 16U;
  x *= 0x21f0aaadU;
  x ^= x >> 15U;
  x *= 0xd35a2d97U;
  x ^= x >> 15U;
  return x;
}

constexpr uint32_t key_of(uint64_t seed, uint64_t high) {
  const uint32_t low_seed = mix(static_cast<uint32_t>(seed) + 0x9e3779b9U);
  const uint32_t high_seed = mix(static_cast<uint32_t>(seed >> 32U) ^ low_seed);
  return mix(high_seed + static_cast<uint32_t>(high) * 0x85ebca6bU);
}

uint16_t round_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);  // finite, so rounding cannot run over
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
}

template <typename T, typename Convert>
void fill_piece(uint32_t key, uint32_t first, int64_t count, float scale, T* out,
                const Convert& convert) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = mix((first + static_cast<uint32_t>(i)) ^ key);
    const auto sum = static_cast<int32_t>((bits & 255U) + (bits >> 8U & 255U) +
                                          (bits >> 16U & 255U) + (bits >> 24U));
    out[i] = convert(static_cast<float>(sum - kMeanSum) * scale);
  }
}

}  // namespace

uint64_t derive_seed(uint64_t seed, uint64_t part) {
  return uint64_t{random_bits(seed, 2 * part)} << 32U | random_bits(seed, 2 * part + 1);
}

uint32_t random_bits(uint64_t seed, uint64_t place) {
  return mix(static_cast<uint32_t>(place) ^ key_of(seed, place >> 32U));
}

void fill_random(DType dtype, uint64_t seed, int64_t first, int64_t count, float deviation,
                 void* out, Parallel& parallel) {
  const float scale = deviation / kSumDeviation;
  // Pieces end where the high half of the place changes, and with it the key.
  const int64_t begin_piece = first / kPiece;
  const int64_t end_piece = (first + count + kPiece - 1) / kPiece;
  parallel.for_each(end_piece - begin_piece, [&](int64_t piece) {
    const int64_t begin = std::max(first, (begin_piece + piece) * kPiece);
    const int64_t end = std::min(first + count, (begin_piece + piece + 1) * kPiece);
    const uint32_t key = key_of(seed, static_cast<uint64_t>(begin) >> 32U);
    if (dtype == DType::kBf16) {
      fill_piece(key, static_cast<uint32_t>(begin), end - begin, scale,
                 static_cast<uint16_t*>(out) + (begin - first), round_to_bf16);
    } else {
      fill_piece(key, static_cast<uint32_t>(begin), end - begin, scale,
                 static_cast<float*>(out) + (begin - first), [](float value) { return value; });
    }
  });
}

}  // namespace rotor::worker::bench
