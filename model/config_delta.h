// What a config.json says about layers whose attention is a gated delta net.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in delta, where the family has such layers; num_layers is there already. Which layers they
/// are `layer_types` says (linear_attention), or all but every `full_attention_interval`-th.
/// Errors: value heads that key heads do not divide; those of parse_layer_types.
Status parse_delta(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
