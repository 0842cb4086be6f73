// Finding Inf and NaN in tensors that are copied as they are: nothing computes with all of them, so
// nothing else would stumble over one.
//
// Thread-safety: pure functions; sources as theirs. Cost: one pass at memory speed, no widening.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// `n` bytes of the tensor from byte `offset` on, both multiples of an element. Integers
/// pass. Error: INVALID_ARGUMENT, reason NOT_FINITE, naming tensor and element.
Status check_finite_piece(const TensorSpec& spec, int64_t offset, const void* bytes, size_t n);

/// Reads the tensors, the smallest first, until `most_bytes` are read: what lies beyond is not
/// looked at. Errors: as above; those of the source.
Status check_finite_tensors(const TensorSource& source, std::vector<TensorSpec> tensors,
                            int64_t most_bytes);

}  // namespace rotor
