#include "model/families.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "model/architecture.h"

namespace rotor {
namespace {

// The defaults are those of the configuration classes of transformers.
constexpr std::array kFamilies = {
    Family{.model_type = "llama", .reads_bias_keys = true},
    Family{.model_type = "mistral", .reads_sliding_window = true, .default_sliding_window = 4096},
};

Linear make_linear(const std::string& name, int64_t out_features, int64_t in_features,
                   bool has_bias, int fuse_group) {
  return {.name = name,
          .out_features = out_features,
          .in_features = in_features,
          .has_bias = has_bias,
          .fuse_group = fuse_group};
}

Layer describe_layer(const ModelConfig& config, int index) {
  Layer layer;
  layer.index = index;
  layer.prefix = "model.layers." + std::to_string(index) + ".";
  const std::string attention = layer.prefix + "self_attn.";
  const std::string mlp = layer.prefix + "mlp.";
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  const int64_t query = config.num_heads * config.head_dim;
  const int64_t key = config.num_kv_heads * config.head_dim;
  const bool attention_bias = config.attention_bias;
  const bool mlp_bias = config.mlp_bias;

  layer.stages = {
      {.kind = StageKind::kAttentionIn,
       .norm = layer.prefix + "input_layernorm.weight",
       .linears = {make_linear(attention + "q_proj", query, hidden, attention_bias, 0),
                   make_linear(attention + "k_proj", key, hidden, attention_bias, 0),
                   make_linear(attention + "v_proj", key, hidden, attention_bias, 0)},
       .in_features = hidden},
      {.kind = StageKind::kAttentionOut,
       .norm = "",
       .linears = {make_linear(attention + "o_proj", hidden, query, attention_bias, 0)},
       .in_features = query},
      {.kind = StageKind::kMlpIn,
       .norm = layer.prefix + "post_attention_layernorm.weight",
       .linears = {make_linear(mlp + "gate_proj", inner, hidden, mlp_bias, 0),
                   make_linear(mlp + "up_proj", inner, hidden, mlp_bias, 0)},
       .in_features = hidden},
      {.kind = StageKind::kMlpOut,
       .norm = "",
       .linears = {make_linear(mlp + "down_proj", hidden, inner, mlp_bias, 0)},
       .in_features = inner},
  };
  return layer;
}

}  // namespace

const Family* find_family(std::string_view model_type) {
  const auto it = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return family.model_type == model_type;
  });
  return it == kFamilies.end() ? nullptr : &*it;
}

std::vector<std::string> supported_model_types() {
  std::vector<std::string> types;
  for (const Family& family : kFamilies) {
    types.emplace_back(family.model_type);
  }
  std::sort(types.begin(), types.end());
  return types;
}

Result<Architecture> describe(const ModelConfig& config) {
  if (find_family(config.model_type) == nullptr) {
    std::string supported;
    for (const std::string& type : supported_model_types()) {
      supported += (supported.empty() ? "" : ", ") + type;
    }
    return unimplemented("model_type \"" + config.model_type +
                         "\" is not supported; supported are: " + supported)
        .with_reason("UNSUPPORTED_MODEL_TYPE")
        .with_detail("model_type", config.model_type)
        .with_detail("supported", supported);
  }
  // parse_model_config holds each key to its range; this is what the keys must be to each other
  // for a config that was not parsed but put together.
  if (config.num_layers < 1 || config.num_heads < 1 || config.num_kv_heads < 1 ||
      config.num_heads % config.num_kv_heads != 0 || config.head_dim < 2 ||
      config.head_dim % 2 != 0 || config.hidden_size < 1 || config.intermediate_size < 1 ||
      config.vocab_size < 1) {
    return invalid_argument(
               "the model's sizes contradict each other: " + std::to_string(config.num_layers) +
               " layers, " + std::to_string(config.num_heads) + " heads over " +
               std::to_string(config.num_kv_heads) + " key/value heads of " +
               std::to_string(config.head_dim) + ", hidden size " +
               std::to_string(config.hidden_size) + ", intermediate size " +
               std::to_string(config.intermediate_size) + ", vocabulary of " +
               std::to_string(config.vocab_size))
        .with_reason("BAD_CONFIG");
  }

  Architecture architecture;
  architecture.config = config;
  architecture.embedding = "model.embed_tokens.weight";
  architecture.final_norm = "model.norm.weight";
  architecture.head = "lm_head";
  architecture.head_weight =
      config.tie_word_embeddings ? architecture.embedding : architecture.head + ".weight";
  architecture.layers.reserve(static_cast<size_t>(config.num_layers));
  for (int index = 0; index < static_cast<int>(config.num_layers); ++index) {
    architecture.layers.push_back(describe_layer(config, index));
  }
  return architecture;
}

}  // namespace rotor
