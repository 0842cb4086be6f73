#include "model/config_latent.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/config_attention.h"

namespace rotor {
namespace {

constexpr int64_t kMostHeads = 1 << 16;
constexpr int64_t kMostFeatures = 1 << 16;

/// "FSS": a full indexer, and layers that share it.
Result<std::vector<bool>> parse_pattern(const JsonObject& object, const std::string& key,
                                        int64_t layers) {
  ROTOR_ASSIGN_OR_RETURN(const std::string pattern, object.string(key));
  if (static_cast<int64_t>(pattern.size()) != layers ||
      pattern.find_first_not_of("FS") != std::string::npos) {
    return object.error(key, "it must be an F or an S for each of the " + std::to_string(layers) +
                                 " layers (num_hidden_layers)");
  }
  std::vector<bool> own;
  std::transform(pattern.begin(), pattern.end(), std::back_inserter(own),
                 [](char letter) { return letter == 'F'; });
  return own;
}

/// Which layers have an indexer of their own, where some take one before them.
Result<std::vector<bool>> parse_sharing(const JsonObject& object, int64_t layers) {
  constexpr const char* kPattern = "index_topk_pattern";
  for (const char* key : {"indexer_types", kPattern}) {
    const nlohmann::json* found = object.find(key);
    if (found != nullptr && !(key == kPattern && found->is_string())) {
      return parse_types(object, key, layers, "shared", "full", "UNSUPPORTED_CONFIG");
    }
  }
  if (object.has(kPattern)) {
    return parse_pattern(object, kPattern, layers);
  }
  ROTOR_ASSIGN_OR_RETURN(const int64_t interval,
                         object.integer_or("index_topk_freq", 1, 0, kMostSize));
  ROTOR_ASSIGN_OR_RETURN(const int64_t offset,
                         object.integer_or("index_skip_topk_offset", 2, 0, kMostSize));
  std::vector<bool> own;
  for (int64_t layer = 0; layer < layers; ++layer) {
    own.push_back(std::max<int64_t>(layer - offset + 1, 0) % std::max<int64_t>(interval, 1) == 0);
  }
  return own;
}

Result<IndexerConfig> parse_indexer(const JsonObject& object, const Indexing& family,
                                    const ModelConfig& config) {
  IndexerConfig indexer;
  ROTOR_ASSIGN_OR_RETURN(indexer.chosen,
                         object.integer_or("index_topk", family.chosen, 1, kMostSize));
  ROTOR_ASSIGN_OR_RETURN(indexer.heads,
                         object.integer_or("index_n_heads", family.heads, 1, kMostHeads));
  ROTOR_ASSIGN_OR_RETURN(indexer.head_dim,
                         object.integer_or("index_head_dim", family.head_dim, 1, kMostFeatures));
  indexer.layers.assign(static_cast<size_t>(config.num_layers), true);
  if (family.shared) {
    ROTOR_ASSIGN_OR_RETURN(indexer.layers, parse_sharing(object, config.num_layers));
  }
  if (!indexer.layers.front()) {
    return object.error("indexer_types", "the first layer has none before it to share");
  }
  return indexer;
}

}  // namespace

Status parse_latent_attention(const JsonObject& object, const Family& family, ModelConfig& config) {
  constexpr const char* kShared = "num_key_value_heads";
  constexpr const char* kQueryRank = "q_lora_rank";
  constexpr const char* kInterleaved = "rope_interleave";
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
                         object.boolean_or(kInterleaved, !object.contains(kInterleaved)));
  if (family.indexing != nullptr) {
    if (!latent.interleaved) {
      return object.error(kInterleaved, "this model type pairs neighbours (true)");
    }
    if (latent.query_rank == 0) {
      return object.error(kQueryRank,
                          "the indexer reads the queries' latent: it must have a width");
    }
    ROTOR_ASSIGN_OR_RETURN(latent.indexer, parse_indexer(object, *family.indexing, config));
  }
  if (family.head_dim_is_rotary) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t same,
                           object.integer_or("head_dim", latent.rotary_features, 1, kMostFeatures));
    if (same != latent.rotary_features) {
      return object.error("head_dim", "it must be qk_rope_head_dim, which is " +
                                          std::to_string(latent.rotary_features) +
                                          ", or be left out");
    }
  }
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
