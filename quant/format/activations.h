// What engines do to activations of a4 models at run time, done to F32 activations in place of it:
// each group of a token is rounded to 4 bits and back (formats.md section 1, "Activations with
// a4").
//
// Thread-safety: pure functions. Cost: one pass over the data, no allocation.
#pragma once

#include <cstdint>

#include "quant/base/parallel.h"
#include "quant/scheme.h"

namespace rotor {

/// out [tokens, cols] = x with every group of scheme.group_size columns of a row rounded to what 4
/// bits and one scale hold. out may be x; cols is a multiple of the group. The scale of a group:
///   NVFP4  e4m3(G * absmax / 6) / G, G = input_global_scale; where the layout's global scale is a
///          multiplier g, e4m3(G * absmax / 6) * g with G = 1 / g in F32;
///   MXFP4  2^(e8m0_activation_byte(absmax) - 127), or 2^(e8m0_floor(absmax) - 127) / 3;
///   INT4   absmax / 7.5 in F32, codes -8..7 (a dynamic symmetric group scale; nothing is stored).
/// A group whose scale is zero becomes zeros. A NaN makes its group NaN, an infinity its group NaN:
/// bad activations stay visible. `input_global_scale` is used by NVFP4 alone, finite and positive.
void fake_quantize_activations(const float* x, int64_t tokens, int64_t cols,
                               const QuantScheme& scheme, float input_global_scale, float* out,
                               Parallel& parallel);

}  // namespace rotor
