#include "worker/backend/cpu/lanes.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace rotor::worker::cpu {
namespace {

constexpr int64_t kWidth = 8;
using Floats = float __attribute__((vector_size(kWidth * sizeof(float))));
using Words = uint32_t __attribute__((vector_size(kWidth * sizeof(uint32_t))));

// Vectors go by reference: by value their ABI would depend on the machine's registers.

inline void load(const float* from, Floats& x) {
  std::memcpy(&x, from, sizeof(x));
}

inline void store(const Floats& x, float* to) {
  std::memcpy(to, &x, sizeof(x));
}

/// x = e^x: x = n ln2 + r with |r| <= ln2 / 2, the Taylor polynomial of degree 7 for e^r, and n
/// into the exponent.
inline void exponential(Floats& x) {
  constexpr float kLowest = -87.33654F;  // below it the result would be subnormal
  constexpr float kHighest = 88.0F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the rounded integer
  constexpr float kLog2e = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // ln2 in two parts, so that n ln2 loses nothing
  constexpr float kLn2Low = -2.12194440e-4F;
  const Floats highest = Floats{} + kHighest;
  const Floats clamped = x > highest ? highest : x;
  const Floats shifted = clamped * kLog2e + kRound;
  const Floats n = shifted - kRound;
  const Floats r = (clamped - n * kLn2High) - n * kLn2Low;
  Floats p = r * (1.0F / 5040.0F) + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = (p * r) * r + r;
  Words bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits << 23) + 0x3F800000U;
  Floats power;
  std::memcpy(&power, &bits, sizeof(power));
  const Floats result = p * power + power;
  x = x < kLowest ? Floats{} : result;
}

}  // namespace

float exp_approx(float x) {
  Floats v = Floats{} + x;
  exponential(v);
  return v[0];
}

float max_of(const float* x, int64_t count) {
  if (count < 2 * kWidth) {
    return *std::max_element(x, x + count);
  }
  Floats first;
  Floats second;
  load(x, first);
  load(x + kWidth, second);
  for (int64_t i = 2 * kWidth; i < count; i += 2 * kWidth) {
    // The last step reaches back over what was seen: a maximum does not mind.
    const float* at = x + std::min(i, count - 2 * kWidth);
    Floats a;
    Floats b;
    load(at, a);
    load(at + kWidth, b);
    first = first < a ? a : first;
    second = second < b ? b : second;
  }
  first = first < second ? second : first;
  float best = first[0];
  for (int64_t l = 1; l < kWidth; ++l) {
    best = std::max(best, first[l]);
  }
  return best;
}

double exp_and_sum(float* x, int64_t count, float shift) {
  Floats sums{};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    Floats v;
    load(x + i, v);
    v -= shift;
    exponential(v);
    store(v, x + i);
    sums += v;
  }
  double sum = 0.0;
  for (int64_t l = 0; l < kWidth; ++l) {
    sum += static_cast<double>(sums[l]);
  }
  for (; i < count; ++i) {
    x[i] = exp_approx(x[i] - shift);
    sum += static_cast<double>(x[i]);
  }
  return sum;
}

double sum_of_squares(const float* x, int64_t count) {
  std::array<double, kWidth> lanes{};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    for (size_t l = 0; l < lanes.size(); ++l) {
      const auto value = static_cast<double>(x[i + static_cast<int64_t>(l)]);
      lanes[l] += value * value;
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

void soft_cap_run(float* x, int64_t count, float cap) {
  // tanh(y) = 1 - 2 / (1 + e^2y); the error is one of cap, and scores that are near each other
  // lose nothing that a softmax would see.
  const float twice = 2.0F / cap;
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    Floats v;
    load(x + i, v);
    v *= twice;
    exponential(v);
    store(cap - 2.0F * cap / (1.0F + v), x + i);
  }
  for (; i < count; ++i) {
    x[i] = cap - 2.0F * cap / (1.0F + exp_approx(x[i] * twice));
  }
}

namespace {

/// out = g / (1 + e^exponent(g)) * u, where prepare(g, u) makes g and u of gate and up.
template <typename Prepare, typename Exponent>
void gated_run(const float* gate, const float* up, int64_t count, float* out,
               const Prepare& prepare, const Exponent& exponent) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    Floats g;
    Floats u;
    load(gate + i, g);
    load(up + i, u);
    prepare(g, u);
    Floats e = g;
    exponent(e);
    exponential(e);
    store(g / (1.0F + e) * u, out + i);
  }
  for (; i < count; ++i) {
    Floats g = Floats{} + gate[i];
    Floats u = Floats{} + up[i];
    prepare(g, u);
    Floats e = g;
    exponent(e);
    out[i] = g[0] / (1.0F + exp_approx(e[0])) * u[0];
  }
}

void as_they_are(Floats&, Floats&) {}

}  // namespace

void silu_run(const float* gate, const float* up, int64_t count, float* out) {
  gated_run(gate, up, count, out, as_they_are, [](Floats& g) { g = -g; });
}

void gelu_tanh_run(const float* gate, const float* up, int64_t count, float* out) {
  // (1 + tanh(y)) / 2 = 1 / (1 + e^-2y).
  constexpr float kLinear = -1.59576912F;  // -2 sqrt(2/pi)
  constexpr float kCubic = 0.044715F;
  gated_run(gate, up, count, out, as_they_are,
            [](Floats& g) { g = kLinear * (g + kCubic * g * g * g); });
}

void clamped_swiglu_run(const float* gate, const float* up, int64_t count, float alpha, float limit,
                        float* out) {
  const auto clamp = [limit](Floats& g, Floats& u) {
    g = g > limit ? Floats{} + limit : g;
    u = u > limit ? Floats{} + limit : u;
    u = u < -limit ? Floats{} - limit : u;
    u = u + 1.0F;
  };
  gated_run(gate, up, count, out, clamp, [alpha](Floats& g) { g = g * -alpha; });
}

}  // namespace rotor::worker::cpu
