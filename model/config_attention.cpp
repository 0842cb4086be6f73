#include "model/config_attention.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace rotor {
namespace {

/// Tokens; 0: the model has no window.
Result<int64_t> parse_window(const JsonObject& object, const Family& family) {
  if (family.windows == WindowRule::kNone) {
    return int64_t{0};
  }
  if (family.windows == WindowRule::kFromLayer || family.windows == WindowRule::kEveryLayerIfUsed) {
    ROTOR_ASSIGN_OR_RETURN(const bool used, object.boolean_or("use_sliding_window", false));
    if (!used) {
      return int64_t{0};
    }
  }
  // An explicit null means no window, a missing key the family's default.
  const bool given = object.contains("sliding_window");
  return object.integer_or("sliding_window", given ? 0 : family.default_sliding_window, 0,
                           kMostSize);
}

/// Which layers `layer_types` gives a window.
Result<std::vector<bool>> parse_layer_types(const JsonObject& object, int64_t layers) {
  constexpr const char* kKey = "layer_types";
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> types, object.array(kKey));
  if (static_cast<int64_t>(types.size()) != layers) {
    return object.error(kKey, "it has " + std::to_string(types.size()) +
                                  " elements; one for each of the " + std::to_string(layers) +
                                  " layers (num_hidden_layers) is needed");
  }
  std::vector<bool> windowed;
  for (const nlohmann::json* type : types) {
    const std::string name = type->is_string() ? type->get<std::string>() : "";
    const bool window = name == "sliding_attention";
    if (!window && name != "full_attention") {
      return object.unsupported(
          kKey,
          "its element " + brief_json(*type) +
              " is not supported; supported are full_attention and sliding_attention",
          "UNSUPPORTED_ATTENTION");
    }
    windowed.push_back(window);
  }
  return windowed;
}

/// Which layers the family's rule gives a window.
Result<std::vector<bool>> windowed_by_rule(const JsonObject& object, const Family& family,
                                           int64_t layers) {
  std::vector<bool> windowed(
      static_cast<size_t>(layers),
      family.windows == WindowRule::kEveryLayer || family.windows == WindowRule::kEveryLayerIfUsed);
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
  const bool by_type = object.has("layer_types") && (family.windows == WindowRule::kFromLayer ||
                                                     family.windows == WindowRule::kAllButEveryNth);
  if (!by_type && window == 0) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<bool> windowed,
                         by_type ? parse_layer_types(object, config.num_layers)
                                 : windowed_by_rule(object, family, config.num_layers));
  for (const bool has_window : windowed) {
    if (has_window && window == 0) {
      return object.error("sliding_window",
                          "it must be a number of tokens, because layer_types has layers with "
                          "sliding_attention");
    }
    config.windows.push_back(has_window ? window : 0);
  }
  return {};
}

/// A soft cap that may be given as null: none.
Result<double> parse_cap(const JsonObject& object, const std::string& key, double fallback) {
  return object.positive_number_or(key, object.contains(key) ? 0.0 : fallback);
}

}  // namespace

Status parse_heads(const JsonObject& object, ModelConfig& config) {
  ROTOR_ASSIGN_OR_RETURN(config.num_heads, object.integer("num_attention_heads", 1, kMostSize));
  ROTOR_ASSIGN_OR_RETURN(config.num_kv_heads,
                         object.integer_or("num_key_value_heads", config.num_heads, 1, kMostSize));
  if (config.num_heads % config.num_kv_heads != 0) {
    return object.error("num_key_value_heads", "it must divide num_attention_heads, which is " +
                                                   std::to_string(config.num_heads));
  }
  if (!object.has("head_dim") && config.hidden_size % config.num_heads != 0) {
    return object.error("head_dim", "it can be left out only where num_attention_heads (" +
                                        std::to_string(config.num_heads) +
                                        ") divides hidden_size (" +
                                        std::to_string(config.hidden_size) + ")");
  }
  ROTOR_ASSIGN_OR_RETURN(
      config.head_dim,
      object.integer_or("head_dim", config.hidden_size / config.num_heads, 1, kMostSize));
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
  ROTOR_ASSIGN_OR_RETURN(const bool both_ways,
                         object.boolean_or("use_bidirectional_attention", false));
  if (both_ways) {
    return object.unsupported("use_bidirectional_attention", "only causal attention is supported",
                              "UNSUPPORTED_ATTENTION");
  }
  ROTOR_RETURN_IF_ERROR(parse_windows(object, family, config));
  if (family.attention_bias == BiasRule::kByKey) {
    ROTOR_ASSIGN_OR_RETURN(config.attention_bias,
                           object.boolean_or("attention_bias", family.default_attention_bias));
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
