// What config.json leaves open, as the checkpoint settles it.
//
// Thread-safety: plain functions.
#pragma once

#include "model/architecture.h"
#include "model/config.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor {

/// The dtype, and what follows from it.
void set_dtype(DType dtype, ModelConfig& config);

/// A dtype that is not named is that of the embedding. An output head that a wrapper's own keys say
/// nothing of is the one that is stored, and tied where there is none.
void settle_config(const TensorSource& checkpoint, ModelConfig& config);

/// A model that is not tied, stores no head and is of a class without one (`architectures`: bare
/// backbones, reward models, classifiers) has none: head_weight is empty then.
void settle_head(const TensorSource& checkpoint, Architecture& architecture);

}  // namespace rotor
