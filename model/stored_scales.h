// Reading the scales that stand beside a weight's codes.
//
// Thread-safety: pure functions. Errors: those of `stored`, and check_scales'.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// Elements [first, first + count) of `scales`, in F32: of BF16, F16 or F32, or E8M0 as F8_E8M0 or
/// U8.
Result<std::vector<float>> read_scales(const TensorSource& stored, const TensorSpec& scales,
                                       int64_t first, int64_t count);

/// INVALID_ARGUMENT, reason NOT_FINITE, naming the tensor, where one is a NaN or an infinity.
Status check_scales(const std::string& tensor, const std::vector<float>& scales);

}  // namespace rotor
