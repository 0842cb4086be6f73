// A weight in FP8, as model/scaled_weights.h has it.
//
// Thread-safety: as DecodedTensor. Errors of reading: INVALID_ARGUMENT, reason NOT_FINITE, for a
// scale that is a NaN or an infinity. Cost: one read of the rows' codes, one of their scales.
#pragma once

#include <cstdint>
#include <memory>

#include "model/decoded_tensor.h"

namespace rotor {

/// Elements of a matrix that share a scale.
struct ScaleBlock {
  int64_t rows = 1;
  int64_t cols = 1;
  bool operator==(const ScaleBlock&) const = default;
};

/// `codes` [N, K] in E4M3; `scales` of as many elements as there are blocks, those at the matrix's
/// lower and right edges being cut off by it.
std::unique_ptr<const DecodedTensor> fp8_matrix(const TensorSpec& codes, const TensorSpec& scales,
                                                const ScaleBlock& block, DType dtype);

/// Number of blocks of `block` in `size`, the last one being cut off.
constexpr int64_t blocks_in(int64_t size, int64_t block) {
  return (size + block - 1) / block;
}

}  // namespace rotor
