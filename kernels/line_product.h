// Products with a weight that lies turned round, so that a step over its columns runs along memory:
// "lines" [n, ld] F32, line c holding column c (or what belongs to place c) of all rows, padded.
//
// Factors are rounded to TF32. Thread-safety: plain functions.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"

namespace rotor::kernels {

/// Length of a line for so many rows: a multiple of what products run fastest with.
inline int64_t line_length(int64_t rows) {
  constexpr int64_t kAlignment = 128;
  return (rows + kAlignment - 1) / kAlignment * kAlignment;
}

/// out [count, ld] = matrix [count, k] lines [k, ld]. The bits of a row do not depend on the
/// others.
inline GemmCall line_product(const GemmOperand& matrix, const float* lines, int64_t count,
                             int64_t k, float* out, int64_t ld) {
  GemmCall call;
  call.m = count;
  call.n = ld;
  call.k = k;
  call.a = matrix;
  call.b = {lines, ld, false};
  call.in_dtype = DType::kF32;
  call.out = out;
  call.out_ld = ld;
  call.out_dtype = DType::kF32;
  call.any_n = true;
  return call;
}

}  // namespace rotor::kernels
