// Floats as a model's dtype holds them.
//
// Thread-safety: pure function.
#pragma once

#include <cstdint>

#include "quant/base/dtype.h"

namespace rotor {

/// `count` values to `out` in BF16, F16 or F32, rounded to nearest, ties to even.
void round_values(const float* values, int64_t count, DType dtype, void* out);

}  // namespace rotor
