// One weight as the solver leaves it and every layout stores it: packed 4-bit codes and stored
// scales.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/scheme.h"

namespace rotor {

/// A quantized weight [rows, cols]; cols is even and a multiple of the group size.
///
/// codes:  [rows, cols/2] bytes; byte j of a row holds column 2j in the low nibble, 2j+1 in the
/// high
///         one. E2M1 codes (formats.md) for NVFP4 and MXFP4, q+8 with q in -8..7 for INT4: read as
///         little-endian I32 words these are also the bytes of INT4's weight_packed.
/// scales: [rows, cols/group_size] elements of scheme.scale_dtype, as bytes in row order.
struct QuantizedMatrix {
  QuantScheme scheme;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  float global_scale = 1.0F;        // as scheme.global says; 1 where the scheme has none
  float input_global_scale = 0.0F;  // with a4, the same for the (rotated) input; 0: none

  int64_t groups() const { return cols / scheme.group_size; }
};

}  // namespace rotor
