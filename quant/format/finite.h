// Finding what is not a number before it spreads.
//
// Thread-safety: pure functions. Cost: one pass at memory speed, no allocation unless it fails.
#pragma once

#include <cstdint>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

/// Index of the first NaN or infinity among `count` values, or -1.
int64_t first_non_finite(const float* values, int64_t count);

/// INVALID_ARGUMENT with reason NOT_FINITE and details row, column, value, where x [rows, cols]
/// holds a NaN or an infinity; the message begins with `what` ("weight").
Status check_finite(std::string_view what, const float* x, int64_t rows, int64_t cols);

}  // namespace rotor
