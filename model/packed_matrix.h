// A weight in packed codes of 4 bits, as model/scaled_weights.h has it, decoded by the reader of
// Rotor's own checkpoints (quant/checkpoint/module_tensors.h).
//
// Thread-safety: as DecodedTensor. Errors of reading: INVALID_ARGUMENT, reason NOT_FINITE, for a
// scale that is a NaN or an infinity, BAD_CHECKPOINT for a global scale that is not positive,
// BAD_TENSOR_SHAPE for a stored shape that is not the codes'.
// Cost: one read of the rows' codes, one of their scales; 4 MiB of F32 besides.
#pragma once

#include <memory>
#include <string>

#include "model/decoded_tensor.h"

namespace rotor {

/// The stored tensors of a weight [N, K]: codes [N, K / 8] in I32 or [N, K / 2] in U8, scales [N,
/// K / scheme.group_size].
struct PackedParts {
  TensorSpec codes;
  TensorSpec scales;
  const TensorSpec* global_scale = nullptr;  // F32, one element; of NVFP4
  const TensorSpec* shape = nullptr;         // I32 or I64 [2]: N, K; may be missing
};

/// `module` is what precedes ".weight_packed", ".weight_scale" and so on.
std::unique_ptr<const DecodedTensor> packed_matrix(const std::string& module,
                                                   const QuantScheme& scheme,
                                                   const PackedParts& parts, DType dtype);

}  // namespace rotor
