// Checks that the operands of a backend operation fit each other. A failed check is a mistake of
// the code that called, never of a user: INTERNAL.
#pragma once

#include <string>
#include <string_view>

#include "quant/base/status.h"
#include "worker/backend/tensor.h"

namespace rotor::worker {

inline Status expect(bool fits, std::string_view operation) {
  return fits ? Status()
              : internal_error("operands of " + std::string(operation) + " do not fit each other");
}

inline bool is_f32(const Tensor& tensor, int64_t rows, int64_t cols) {
  return tensor.dtype() == DType::kF32 && tensor.rows() == rows && tensor.cols() == cols;
}

inline bool is_wide_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

}  // namespace rotor::worker
