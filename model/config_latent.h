// What a config.json says about latent attention: the ranks of its latents, and what a head
// consists of.
#pragma once

#include "model/config.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in num_heads, num_kv_heads, head_dim and latent. Errors: heads that share keys, a rotated
/// part of odd width, a missing `q_lora_rank` (null: queries without a latent).
Status parse_latent_attention(const JsonObject& object, ModelConfig& config);

}  // namespace rotor
