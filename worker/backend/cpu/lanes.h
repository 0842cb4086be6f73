// Arithmetic over runs of floats in vector registers, by the compilers' vector extension: loops
// with an exponential in them are not vectorised otherwise, and sums must not be left to a
// compiler's choice. Sums run over fixed lanes, so their order depends on the length alone.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>

namespace rotor::worker::cpu {

/// e^x, relative error below 2e-7; 0 below -87.3 and e^88 above 88. A NaN stays a NaN.
float exp_approx(float x);

/// Largest of `count` >= 1 numbers. A NaN among them may be overlooked.
float max_of(const float* x, int64_t count);

/// x = e^(x - shift) in place, by exp_approx; returns the sum, F32 in lanes and F64 across them.
double exp_and_sum(float* x, int64_t count, float shift);

/// Sum of squares in F64.
double sum_of_squares(const float* x, int64_t count);

/// x = cap * tanh(x / cap) in place, cap > 0, within 2^-21 cap.
void soft_cap_run(float* x, int64_t count, float cap);

/// out = gate / (1 + e^-gate) * up; out may be gate.
void silu_run(const float* gate, const float* up, int64_t count, float* out);

/// out = gelu(gate) * up by the tanh formula (Hendrycks and Gimpel, arXiv 1606.08415, section 2),
/// gelu(g) = g / 2 (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))); out may be gate.
void gelu_tanh_run(const float* gate, const float* up, int64_t count, float* out);

/// out = g / (1 + e^(-alpha g)) * (u + 1), g = min(gate, limit) and u = up within -limit to limit
/// (gpt-oss, arXiv 2508.10925, section 2.2); out may be gate. A NaN stays one.
void clamped_swiglu_run(const float* gate, const float* up, int64_t count, float alpha, float limit,
                        float* out);

}  // namespace rotor::worker::cpu
