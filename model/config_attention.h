// What a config.json says about attention: heads, windows, biases, scale and soft caps.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in num_heads, num_kv_heads and head_dim; hidden_size is there already.
Status parse_heads(const JsonObject& object, ModelConfig& config);

/// Fills in windows, biases, query scalar and soft caps, as far as the family reads their keys;
/// num_layers is there already. Errors: UNIMPLEMENTED with UNSUPPORTED_ATTENTION for layer types
/// that are neither full_attention nor sliding_attention, and for attention that is not causal.
Status parse_attention(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
