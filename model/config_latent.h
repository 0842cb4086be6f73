// What a config.json says about latent attention: the ranks of its latents, and what a head
// consists of.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in num_heads, num_kv_heads, head_dim and latent; num_layers is there already. Errors:
/// heads that share keys, a rotated part of odd width, a missing `q_lora_rank` (null: queries
/// without a latent, which an indexer needs).
Status parse_latent_attention(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
