#include "model/config_latent.h"

#include <string>

namespace rotor {
namespace {

constexpr int64_t kMostHeads = 1 << 16;
constexpr int64_t kMostFeatures = 1 << 16;

}  // namespace

Status parse_latent_attention(const JsonObject& object, ModelConfig& config) {
  constexpr const char* kShared = "num_key_value_heads";
  constexpr const char* kQueryRank = "q_lora_rank";
  ROTOR_ASSIGN_OR_RETURN(config.num_heads, object.integer("num_attention_heads", 1, kMostHeads));
  ROTOR_ASSIGN_OR_RETURN(config.num_kv_heads,
                         object.integer_or(kShared, config.num_heads, 1, kMostHeads));
  if (config.num_kv_heads != config.num_heads) {
    return object.error(kShared,
                        "in latent attention every head has its own keys, and it must be "
                        "num_attention_heads, which is " +
                            std::to_string(config.num_heads));
  }
  const auto features = [&](const char* key) { return object.integer(key, 1, kMostFeatures); };
  LatentConfig latent;
  if (!object.contains(kQueryRank)) {
    return object.error(kQueryRank,
                        "it must be the width of the queries' latent, or null where they have "
                        "none");
  }
  if (object.has(kQueryRank)) {
    ROTOR_ASSIGN_OR_RETURN(latent.query_rank, features(kQueryRank));
  }
  ROTOR_ASSIGN_OR_RETURN(latent.key_value_rank, features("kv_lora_rank"));
  ROTOR_ASSIGN_OR_RETURN(latent.plain_features, features("qk_nope_head_dim"));
  ROTOR_ASSIGN_OR_RETURN(latent.rotary_features, features("qk_rope_head_dim"));
  ROTOR_ASSIGN_OR_RETURN(latent.value_features, features("v_head_dim"));
  ROTOR_ASSIGN_OR_RETURN(latent.interleaved,
                         object.boolean_or("rope_interleave", !object.contains("rope_interleave")));
  for (const char* key : {"qk_nope_head_dim", "qk_rope_head_dim"}) {
    if (object.integer(key, 1, kMostFeatures).value() % 2 != 0) {
      return object.error(key, "rotary embeddings need an even one");
    }
  }
  config.head_dim = latent.plain_features + latent.rotary_features;
  config.latent = latent;
  return {};
}

}  // namespace rotor
