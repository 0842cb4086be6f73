// From packed codes and stored scales back to floats: the one place that does it, so that the job,
// the checkpoint reader and the error measures see the same bits.
//
// Thread-safety: pure functions. Cost: one pass over the data, no allocation.
#pragma once

#include <array>
#include <cstdint>

#include "quant/base/parallel.h"
#include "quant/quantized_matrix.h"
#include "quant/scheme.h"

namespace rotor {

/// By code: kE2m1Values for NVFP4 and MXFP4, q for the nibble q + 8 of INT4.
const std::array<float, 16>& code_values(Format format);

/// The weight that a code value stands for: one product in F32. Everything that needs a dequantized
/// weight calls this.
inline float dequantized(float code_value, float effective_scale) {
  return code_value * effective_scale;
}

/// The F32 value of element `index` of stored scales of `dtype` (F8_E4M3, U8 as E8M0, BF16, F16,
/// F32).
float decode_scale(DType dtype, const uint8_t* stored, int64_t index);

/// out[i] = decode(stored[i]) / global_scale in F32, or times it where scheme.global says so, for
/// `count` scales.
void effective_scales(const QuantScheme& scheme, const uint8_t* stored, int64_t count,
                      float global_scale, float* out);

/// Byte j of `packed` takes codes[2j] in its low nibble and codes[2j + 1] in its high one. `count`
/// is even.
void pack_nibbles(const uint8_t* codes, int64_t count, uint8_t* packed);
/// The inverse of pack_nibbles.
void unpack_nibbles(const uint8_t* packed, int64_t count, uint8_t* codes);

/// out [rows, cols] F32 from packed codes [rows, cols/2] and effective scales [rows,
/// cols/group_size].
void dequantize_codes(const QuantScheme& scheme, const uint8_t* codes, const float* effective,
                      int64_t rows, int64_t cols, float* out, Parallel& parallel);

/// out [count, cols] F32: rows [row_begin, row_begin + count) of the matrix. Errors: OUT_OF_RANGE
/// for rows that it does not have, INVALID_ARGUMENT where its buffers do not have the sizes of its
/// shape.
Status dequantize_rows(const QuantizedMatrix& matrix, int64_t row_begin, int64_t count, float* out);

}  // namespace rotor
