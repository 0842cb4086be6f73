// Arithmetic on 16 numbers at a time, written as plain loops that compilers turn into vector code.
// Floating-point reductions are not reordered by a compiler, so they are spelled out here over
// fixed lanes: the order of a sum depends on the length alone.
//
// Thread-safety: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace rotor::worker::cpu {

inline constexpr int64_t kLanes = 16;

/// e^x for x <= 88, relative error below 2e-7; 0 below -87.3. A NaN stays a NaN.
/// Argument reduction x = n ln2 + r and the degree-7 Taylor polynomial of e^r on |r| <= ln2 / 2.
inline float exp_approx(float x) {
  constexpr float kLowest = -87.33654F;  // below it the result would be subnormal
  constexpr float kHighest = 88.0F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the rounded integer
  constexpr float kLog2e = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // ln2 in two parts, so that n ln2 loses nothing
  constexpr float kLn2Low = -2.12194440e-4F;
  const float clamped = x > kHighest ? kHighest : x;
  const float shifted = clamped * kLog2e + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = (p * r) * r + r;
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000U;
  const float power = std::bit_cast<float>(exponent);
  const float result = p * power + power;
  return x < kLowest ? 0.0F : result;
}

/// Largest of `count` >= 1 numbers, none of them a NaN.
inline float max_of(const float* x, int64_t count) {
  std::array<float, kLanes> lanes;
  lanes.fill(x[0]);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float value = x[i + l];
      lanes[static_cast<size_t>(l)] =
          lanes[static_cast<size_t>(l)] < value ? value : lanes[static_cast<size_t>(l)];
    }
  }
  float best = *std::max_element(lanes.begin(), lanes.end());
  for (; i < count; ++i) {
    best = std::max(best, x[i]);
  }
  return best;
}

/// x = e^(x - shift) in place; returns the sum. F32 lanes, F64 across them.
inline double exp_and_sum(float* x, int64_t count, float shift) {
  std::array<float, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float e = exp_approx(x[i + l] - shift);
      x[i + l] = e;
      lanes[static_cast<size_t>(l)] += e;
    }
  }
  double sum = 0.0;
  for (const float lane : lanes) {
    sum += static_cast<double>(lane);
  }
  for (; i < count; ++i) {
    x[i] = exp_approx(x[i] - shift);
    sum += static_cast<double>(x[i]);
  }
  return sum;
}

/// Sum of squares in F64.
inline double sum_of_squares(const float* x, int64_t count) {
  constexpr int64_t kHalf = kLanes / 2;
  std::array<double, kHalf> lanes{};
  int64_t i = 0;
  for (; i + kHalf <= count; i += kHalf) {
    for (int64_t l = 0; l < kHalf; ++l) {
      const auto value = static_cast<double>(x[i + l]);
      lanes[static_cast<size_t>(l)] += value * value;
    }
  }
  double sum = 0.0;
  for (const double lane : lanes) {
    sum += lane;
  }
  for (; i < count; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

}  // namespace rotor::worker::cpu
