// Which tensors of a checkpoint are weights of linears, by name and shape: all that engines would
// look for packed codes of, and so what an ignore list has to name where it is not quantized.
//
// Thread-safety: pure functions.
#pragma once

#include <string>

#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// The module whose weight the tensor is, "a.b" of a matrix "a.b.weight"; empty for any other
/// tensor, and for embeddings, which no engine takes for linears.
std::string linear_of(const TensorSpec& tensor);

}  // namespace rotor
