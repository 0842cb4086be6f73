// What a config.json says about attention: heads, windows, biases, scale and soft caps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in num_heads, num_kv_heads and head_dim; hidden_size is there already.
Status parse_heads(const JsonObject& object, const Family& family, ModelConfig& config);

/// Which layers the array at `key` says are of type `special`; the others must be `plain`. Errors:
/// another number of them than layers; UNIMPLEMENTED with `reason` for a type that is neither.
Result<std::vector<bool>> parse_types(const JsonObject& object, const std::string& key,
                                      int64_t layers, const std::string& plain,
                                      const std::string& special, const std::string& reason);

/// Which layers `layer_types` says are of type `special`; the others must be full_attention.
/// The reason for a type that is neither is UNSUPPORTED_ATTENTION.
Result<std::vector<bool>> parse_layer_types(const JsonObject& object, int64_t layers,
                                            const std::string& special);

/// Fills in windows, layers without RoPE, biases, scales of scores and soft caps, as far as the
/// family reads their keys; num_layers is there already. Errors: UNIMPLEMENTED with
/// UNSUPPORTED_ATTENTION for layer types that are neither full_attention nor sliding_attention, and
/// for attention that is not causal.
Status parse_attention(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
