// What a checkpoint calls the parts of its decoder: models that are one part of a larger one are
// published with a prefix, and with more than one, as the libraries that wrote them changed.
//
// Thread-safety: pure function.
#pragma once

#include <string>
#include <vector>

#include "model/architecture.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// By where the embedding lies; the usual names where it is nowhere.
TensorNames find_tensor_names(const TensorSource& checkpoint);

/// The first few of `names` for a message, and how many there are besides.
std::string list_some(const std::vector<std::string>& names);

}  // namespace rotor
