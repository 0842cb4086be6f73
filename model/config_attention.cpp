#include "model/config_attention.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace rotor {
namespace {

/// A size with a default, which 0 is not.
Result<int64_t> size_or(const JsonObject& object, const std::string& key, int64_t fallback) {
  return fallback > 0 ? object.integer_or(key, fallback, 1, kMostSize)
                      : object.integer(key, 1, kMostSize);
}

std::string window_key(const Family& family) {
  return family.windows == WindowRule::kRotatedChunks ? "attention_chunk_size" : "sliding_window";
}

/// Tokens; 0: the model has no window.
Result<int64_t> parse_window(const JsonObject& object, const Family& family) {
  if (family.windows == WindowRule::kNone) {
    return int64_t{0};
  }
  if (family.windows == WindowRule::kFromLayer || family.windows == WindowRule::kEveryLayerIfUsed ||
      family.windows == WindowRule::kUnrotatedIfUsed) {
    ROTOR_ASSIGN_OR_RETURN(const bool used, object.boolean_or("use_sliding_window", false));
    if (!used) {
      return int64_t{0};
    }
  }
  // An explicit null means no window, a missing key the family's default.
  const std::string key = window_key(family);
  return object.integer_or(key, object.contains(key) ? 0 : family.default_sliding_window, 0,
                           kMostSize);
}

/// Which layers the family's rule gives a window.
Result<std::vector<bool>> windowed_by_rule(const JsonObject& object, const Family& family,
                                           const ModelConfig& config) {
  const int64_t layers = config.num_layers;
  std::vector<bool> windowed(static_cast<size_t>(layers),
                             family.windows == WindowRule::kEveryLayer ||
                                 family.windows == WindowRule::kEveryLayerByType ||
                                 family.windows == WindowRule::kEveryLayerIfUsed);
  if (family.windows == WindowRule::kUnrotatedIfUsed ||
      family.windows == WindowRule::kRotatedChunks) {
    for (int layer = 0; layer < static_cast<int>(layers); ++layer) {
      windowed[static_cast<size_t>(layer)] =
          config.is_rotated(layer) == (family.windows == WindowRule::kRotatedChunks);
    }
  }
  if (family.windows == WindowRule::kFromLayer) {
    ROTOR_ASSIGN_OR_RETURN(
        const int64_t first,
        object.integer_or("max_window_layers", family.default_window_layers, 0, kMostSize));
    for (int64_t layer = first; layer < layers; ++layer) {
      windowed[static_cast<size_t>(layer)] = true;
    }
  }
  if (family.windows == WindowRule::kAllButEveryNth) {
    ROTOR_ASSIGN_OR_RETURN(
        const int64_t pattern,
        object.integer_or("sliding_window_pattern", family.default_window_pattern, 1, kMostSize));
    for (int64_t layer = 0; layer < layers; ++layer) {
      windowed[static_cast<size_t>(layer)] = (layer + 1) % pattern != 0;
    }
  }
  return windowed;
}

Status parse_windows(const JsonObject& object, const Family& family, ModelConfig& config) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t window, parse_window(object, family));
  config.chunked = family.windows == WindowRule::kRotatedChunks;
  const bool used = family.windows != WindowRule::kUnrotatedIfUsed || window > 0;
  const bool by_type = object.has("layer_types") && used && family.windows != WindowRule::kNone &&
                       family.windows != WindowRule::kEveryLayer &&
                       family.windows != WindowRule::kEveryLayerIfUsed;
  if (!used && object.has("layer_types") && object.has("sliding_window")) {
    // Masks follow layer_types, and kernels that take a window the other key.
    ROTOR_ASSIGN_OR_RETURN(const std::vector<bool> typed,
                           parse_layer_types(object, config.num_layers, "sliding_attention"));
    if (std::find(typed.begin(), typed.end(), true) != typed.end()) {
      return object.error("use_sliding_window",
                          "it must be true, or layer_types must have no sliding_attention");
    }
  }
  if (!by_type && window == 0) {
    return {};
  }
  const std::string special = config.chunked ? "chunked_attention" : "sliding_attention";
  ROTOR_ASSIGN_OR_RETURN(const std::vector<bool> windowed,
                         by_type ? parse_layer_types(object, config.num_layers, special)
                                 : windowed_by_rule(object, family, config));
  for (const bool has_window : windowed) {
    if (has_window && window == 0) {
      return object.error(
          window_key(family),
          "it must be a number of tokens, because layer_types has layers with " + special);
    }
    config.windows.push_back(has_window ? window : 0);
  }
  return {};
}

/// `no_rope_layers` holds 1 for each layer that RoPE rotates and 0 for the others; where it is not
/// given, every `no_rope_layer_interval`-th is none.
Status parse_rotated(const JsonObject& object, ModelConfig& config) {
  constexpr const char* kKey = "no_rope_layers";
  // An empty list, as Llama 4 has it, says no more than none.
  if (!object.has(kKey) || *object.find(kKey) == nlohmann::json::array()) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t interval,
                           object.integer_or("no_rope_layer_interval", 4, 1, kMostSize));
    for (int64_t layer = 0; layer < config.num_layers; ++layer) {
      config.rotated.push_back((layer + 1) % interval != 0);
    }
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> entries, object.array(kKey));
  for (const nlohmann::json* entry : entries) {
    if (*entry != 0 && *entry != 1) {
      return object.error(kKey, "its elements must be 1, for a layer with RoPE, or 0");
    }
    config.rotated.push_back(*entry == 1);
  }
  if (std::ssize(entries) != config.num_layers) {
    return object.error(
        kKey, "it has " + std::to_string(entries.size()) + " elements; one for each of the " +
                  std::to_string(config.num_layers) + " layers (num_hidden_layers) is needed");
  }
  return {};
}

/// Of layers without RoPE. The first files have a number where the later ones have true.
Status parse_query_growth(const JsonObject& object, ModelConfig& config) {
  constexpr const char* kUsed = "attn_temperature_tuning";
  const nlohmann::json* found = object.find(kUsed);
  if (found != nullptr && !found->is_boolean() && !found->is_number()) {
    return object.error(kUsed, "it must be true or false");
  }
  if (found != nullptr && (*found == false || *found == 0)) {
    return {};
  }
  QueryGrowth growth;
  ROTOR_ASSIGN_OR_RETURN(growth.interval, object.integer_or("floor_scale", 8192, 1, kMostSize));
  ROTOR_ASSIGN_OR_RETURN(growth.factor, object.positive_number_or("attn_scale", 0.1));
  config.query_growth = growth;
  return {};
}

/// A soft cap that may be given as null: none.
Result<double> parse_cap(const JsonObject& object, const std::string& key, double fallback) {
  return object.positive_number_or(key, object.contains(key) ? 0.0 : fallback);
}

}  // namespace

Result<std::vector<bool>> parse_types(const JsonObject& object, const std::string& key,
                                      int64_t layers, const std::string& plain,
                                      const std::string& special, const std::string& reason) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> types, object.array(key));
  if (static_cast<int64_t>(types.size()) != layers) {
    return object.error(key, "it has " + std::to_string(types.size()) +
                                 " elements; one for each of the " + std::to_string(layers) +
                                 " layers (num_hidden_layers) is needed");
  }
  std::vector<bool> found;
  for (const nlohmann::json* type : types) {
    const std::string name = type->is_string() ? type->get<std::string>() : "";
    if (name != special && name != plain) {
      return object.unsupported(key,
                                "its element " + brief_json(*type) +
                                    " is not supported; supported are " + plain + " and " + special,
                                reason);
    }
    found.push_back(name == special);
  }
  return found;
}

Result<std::vector<bool>> parse_layer_types(const JsonObject& object, int64_t layers,
                                            const std::string& special) {
  return parse_types(object, "layer_types", layers, "full_attention", special,
                     "UNSUPPORTED_ATTENTION");
}

Status parse_heads(const JsonObject& object, const Family& family, ModelConfig& config) {
  const DefaultSizes& sizes = family.sizes;
  ROTOR_ASSIGN_OR_RETURN(config.num_heads, size_or(object, "num_attention_heads", sizes.heads));
  // A missing key means the family's number, null as many as heads.
  const bool own = sizes.kv_heads == 0 || object.contains("num_key_value_heads");
  ROTOR_ASSIGN_OR_RETURN(config.num_kv_heads,
                         object.integer_or("num_key_value_heads",
                                           own ? config.num_heads : sizes.kv_heads, 1, kMostSize));
  if (config.num_heads % config.num_kv_heads != 0) {
    return object.error("num_key_value_heads", "it must divide num_attention_heads, which is " +
                                                   std::to_string(config.num_heads));
  }
  const bool derived = sizes.head_dim == 0 || object.contains("head_dim");
  if (derived && !object.has("head_dim") && config.hidden_size % config.num_heads != 0) {
    return object.error("head_dim", "it can be left out only where num_attention_heads (" +
                                        std::to_string(config.num_heads) +
                                        ") divides hidden_size (" +
                                        std::to_string(config.hidden_size) + ")");
  }
  ROTOR_ASSIGN_OR_RETURN(
      config.head_dim,
      object.integer_or("head_dim",
                        derived ? config.hidden_size / config.num_heads : sizes.head_dim, 1,
                        kMostSize));
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    return object.error("head_dim", "rotary embeddings need an even one, and it is " +
                                        std::to_string(config.head_dim));
  }
  // The product is the width of the query projection.
  if (config.num_heads > kMostSize / config.head_dim) {
    return object.error("num_attention_heads",
                        "times head_dim (" + std::to_string(config.head_dim) +
                            ") it is more than " + std::to_string(kMostSize));
  }
  return {};
}

Status parse_attention(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (family.reads_no_rope_layers) {
    ROTOR_RETURN_IF_ERROR(parse_rotated(object, config));
  }
  ROTOR_RETURN_IF_ERROR(parse_windows(object, family, config));
  if (family.attention_bias != BiasRule::kNone &&
      family.attention_bias != BiasRule::kQueryKeyValue) {
    ROTOR_ASSIGN_OR_RETURN(config.attention_bias,
                           object.boolean_or("attention_bias", family.default_attention_bias));
    config.attention_output_bias =
        config.attention_bias && family.attention_bias == BiasRule::kByKey;
  }
  if (family.attention_bias == BiasRule::kByTwoKeys) {
    ROTOR_ASSIGN_OR_RETURN(config.attention_output_bias,
                           object.boolean_or("attention_out_bias", false));
  }
  if (family.reads_query_key_norm) {
    ROTOR_ASSIGN_OR_RETURN(config.query_key_norm,
                           object.boolean_or("use_qk_norm", family.default_query_key_norm));
  }
  if (family.reads_query_growth) {
    ROTOR_RETURN_IF_ERROR(parse_query_growth(object, config));
  }
  if (family.reads_granite_scales) {
    ROTOR_ASSIGN_OR_RETURN(config.score_scale,
                           object.positive_number_or("attention_multiplier", 1.0));
    ROTOR_ASSIGN_OR_RETURN(config.residual_scale,
                           object.positive_number_or("residual_multiplier", 1.0));
    ROTOR_ASSIGN_OR_RETURN(config.logit_divisor, object.positive_number_or("logits_scaling", 1.0));
  }
  if (family.reads_mlp_bias) {
    ROTOR_ASSIGN_OR_RETURN(config.mlp_bias, object.boolean_or("mlp_bias", false));
  }
  if (family.default_query_scalar > 0.0) {
    ROTOR_ASSIGN_OR_RETURN(
        config.query_scalar,
        object.positive_number_or("query_pre_attn_scalar", family.default_query_scalar));
  }
  if (family.reads_attention_cap) {
    ROTOR_ASSIGN_OR_RETURN(config.attention_cap, parse_cap(object, "attn_logit_softcapping",
                                                           family.default_attention_cap));
  }
  if (family.reads_logit_cap) {
    ROTOR_ASSIGN_OR_RETURN(config.logit_cap,
                           parse_cap(object, "final_logit_softcapping", family.default_logit_cap));
  }
  return {};
}

}  // namespace rotor
