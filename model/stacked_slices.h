// One linear's part of a tensor that holds those of all experts of a layer, as a tensor of its own,
// in the arrangements that stacked_experts.h lists.
//
// Thread-safety, errors: as DecodedTensor. Cost: a row of MXFP4 costs as many rows of the stack as
// linears are interleaved in it; a transposed row costs the expert's whole slice each time rows are
// read, in bands of 4 MiB of memory; any other is one read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/decoded_tensor.h"

namespace rotor {

inline constexpr int64_t kMxfp4Group = 32;  // elements that share a scale, in 16 bytes

/// Which outputs of a stack make a linear.
struct StackSlice {
  int64_t expert = 0;
  int64_t first = 0;  // output of the stack
  int64_t step = 1;   // from one to the next
};

using StackedTensor = std::unique_ptr<const DecodedTensor>;

/// A weight [N, K] in a stack [E, K, outputs].
StackedTensor transposed_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice);
/// A weight [N, K] in a stack [E, outputs, K]; its outputs stand next to each other.
StackedTensor rows_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice);
/// A weight [N, K] in blocks [E, outputs, K/32, 16] and scales [E, outputs, K/32].
StackedTensor mxfp4_slice(TensorSpec spec, const TensorSpec& blocks, const std::string& scales,
                          const StackSlice& slice);
/// A bias [N] in a stack [E, outputs].
StackedTensor bias_slice(TensorSpec spec, const TensorSpec& stack, const StackSlice& slice);
/// A stored tensor under the name that the architecture has for it.
StackedTensor renamed_tensor(const std::string& name, const TensorSpec& stored);

}  // namespace rotor
