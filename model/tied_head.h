// A checkpoint whose config.json ties the output head to the embedding and that holds a head all
// the same: harmless where the two are equal.
//
// Thread-safety: a pure function. Cost: both tensors are read where there are two.
#pragma once

#include "model/architecture.h"
#include "quant/base/status.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// Error: INVALID_ARGUMENT, reason UNTIED_HEAD, where the stored head differs from the embedding.
/// transformers computes with the stored one then, and engines with the embedding: two models.
Status check_tied_head(const Architecture& architecture, const TensorSource& weights);

}  // namespace rotor
