// E8M0, the stored scale of MXFP4: 2^(byte - 127); 255 is NaN.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>

namespace rotor {

inline constexpr uint8_t kE8m0MaxByte = 254;

/// 2^(byte - 127), exact in F32 for every byte (0 is a subnormal); NaN for 255.
float e8m0_decode(uint8_t byte);

/// The byte engines choose for a group of activations (formats.md section 1): 127 + floor(log2
/// absmax) - 2, one more where absmax's mantissa is 1.75 or above; clamped to 0..254. `absmax` is
/// finite and not negative; 0 gives byte 0.
uint8_t e8m0_activation_byte(float absmax);

/// The byte engines choose in FP-Quant, whose scales are thirds: 127 + floor(log2 absmax); clamped
/// to 0..254. `absmax` is finite and not negative; 0 gives byte 0.
uint8_t e8m0_floor(float absmax);

/// The smallest byte whose scale is not below `value`; clamped to 0..254. `value` is finite and not
/// negative.
uint8_t e8m0_ceil(float value);

}  // namespace rotor
