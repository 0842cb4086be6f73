#include "model/config.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "model/config_attention.h"
#include "model/config_delta.h"
#include "model/config_fields.h"
#include "model/config_latent.h"
#include "model/config_mixture.h"
#include "model/config_rope.h"
#include "model/families.h"
#include "model/json_object.h"
#include "model/settled_config.h"
#include "model/wrappers.h"
#include "quant/base/config_json.h"

namespace rotor {
namespace {

constexpr int64_t kMostLayers = 10'000;
constexpr const char* kReason = "BAD_CONFIG";

std::optional<DType> dtype_of(std::string_view name) {
  constexpr std::string_view kModule = "torch.";
  if (name.starts_with(kModule)) {
    name.remove_prefix(kModule.size());
  }
  if (name == "bfloat16") {
    return DType::kBf16;
  }
  if (name == "float16" || name == "half") {
    return DType::kF16;
  }
  if (name == "float32" || name == "float") {
    return DType::kF32;
  }
  return std::nullopt;
}

/// The first that is named, of a wrapper's own keys and then of its text part's; "auto" names none.
Result<std::optional<DType>> parse_dtype(const JsonObject& root, const JsonObject& decoder) {
  for (const JsonObject* object : {&root, &decoder}) {
    for (const char* key : kDtypeKeys) {
      const Result<std::string> name = object->string_or(key, kAutoDtype);
      ROTOR_RETURN_IF_ERROR(name.status());
      if (*name == kAutoDtype) {
        continue;
      }
      const std::optional<DType> dtype = dtype_of(*name);
      return dtype ? Result<std::optional<DType>>(dtype)
                   : object->error(
                         key, "supported are bfloat16, float16 and float32: convert the model");
    }
  }
  return std::optional<DType>();
}

/// What a wrapper's own keys say counts first; what its text part says, until it is settled.
Status parse_tied(const JsonObject& root, const DecoderConfig& decoder, const Family& family,
                  ModelConfig& config) {
  constexpr const char* kKey = "tie_word_embeddings";
  config.names_tied = !decoder.nested || root.has(kKey);
  ROTOR_ASSIGN_OR_RETURN(const bool tied, decoder.object.boolean_or(kKey, family.default_tied));
  ROTOR_ASSIGN_OR_RETURN(config.tie_word_embeddings, root.boolean_or(kKey, tied));
  return {};
}

/// The family's own, which it calls silu.
Result<GatedActivation> parse_clamped_swiglu(const JsonObject& object) {
  const GatedActivation defaults;
  ROTOR_ASSIGN_OR_RETURN(const double alpha,
                         object.positive_number_or("swiglu_alpha", double{defaults.alpha}));
  ROTOR_ASSIGN_OR_RETURN(const double limit,
                         object.positive_number_or("swiglu_limit", double{defaults.limit}));
  return GatedActivation{ActivationKind::kClampedSwiglu, static_cast<float>(alpha),
                         static_cast<float>(limit)};
}

Result<GatedActivation> parse_activation(const JsonObject& object, const Family& family) {
  const std::string key(family.activation_key);
  ROTOR_ASSIGN_OR_RETURN(const std::string name,
                         object.string_or(key, std::string(family.default_activation)));
  const bool silu = name == "silu" || name == "swish";
  if (family.clamps_swiglu) {
    return silu ? parse_clamped_swiglu(object)
                : object.unsupported(key, "this model type's experts have a clamped SwiGLU, silu",
                                     "UNSUPPORTED_ACTIVATION");
  }
  if (silu) {
    return GatedActivation{ActivationKind::kSilu};
  }
  if (name == "gelu_pytorch_tanh") {
    return GatedActivation{ActivationKind::kGeluTanh};
  }
  return object.unsupported(key, "the activations supported are silu and gelu_pytorch_tanh",
                            "UNSUPPORTED_ACTIVATION");
}

Status parse_sizes(const JsonObject& object, const Family& family, ModelConfig& config) {
  const auto size = [&](const std::string& key, int64_t fallback = 0) {
    return fallback > 0 ? object.integer_or(key, fallback, 1, kMostSize)
                        : object.integer(key, 1, kMostSize);
  };
  ROTOR_ASSIGN_OR_RETURN(config.hidden_size, size("hidden_size"));
  // Where every layer is a mixture there is no dense MLP to have a width.
  const Mixture* mixture = family.mixture;
  const bool no_dense = mixture != nullptr && mixture->shared_size_key != "" &&
                        !mixture->reads_dense_layers && !object.has("intermediate_size");
  ROTOR_ASSIGN_OR_RETURN(config.intermediate_size, no_dense ? size("moe_intermediate_size")
                                                            : size(std::string(family.mlp_size_key),
                                                                   family.default_mlp_size));
  ROTOR_ASSIGN_OR_RETURN(config.num_layers, object.integer("num_hidden_layers", 1, kMostLayers));
  ROTOR_ASSIGN_OR_RETURN(config.vocab_size, size("vocab_size", family.sizes.vocabulary));
  ROTOR_ASSIGN_OR_RETURN(config.max_position_embeddings,
                         size("max_position_embeddings", family.sizes.positions));
  return {};
}

Status parse_embedding_scale(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (family.reads_granite_scales) {
    ROTOR_ASSIGN_OR_RETURN(const double scale,
                           object.positive_number_or("embedding_multiplier", 1.0));
    config.embedding_scale = static_cast<float>(scale);
  }
  return {};
}

}  // namespace

Result<ModelConfig> parse_model_config(const std::string& text, const std::string& path,
                                       bool allow_quantized) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json json, parse_config_json(text, path));
  ROTOR_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::make(json, path, "", kReason));
  ModelConfig config;
  ROTOR_ASSIGN_OR_RETURN(config.source_quantization,
                         parse_source_quantization(root, allow_quantized));
  ROTOR_ASSIGN_OR_RETURN(const DecoderConfig decoder, find_decoder(root));
  const JsonObject& object = decoder.object;
  config.model_type = decoder.model_type;
  config.wrapper = decoder.wrapper;
  const Result<const Family*> found = find_family(config.model_type);
  if (!found.ok()) {
    return found.status().with_context(path).with_detail("file", path);
  }
  const Family& family = **found;
  ROTOR_RETURN_IF_ERROR(check_config_fields(root));
  ROTOR_RETURN_IF_ERROR(check_config_fields(object));
  if (root.has("architectures")) {
    ROTOR_ASSIGN_OR_RETURN(const auto names, root.array("architectures"));
    if (!names.empty()) {
      if (!names[0]->is_string()) {
        return root.error("architectures", "it must be an array of strings");
      }
      config.architecture = names[0]->get<std::string>();
    }
  }
  ROTOR_RETURN_IF_ERROR(parse_sizes(object, family, config));
  ROTOR_RETURN_IF_ERROR(family.latent_attention ? parse_latent_attention(object, family, config)
                                                : parse_heads(object, family, config));
  ROTOR_ASSIGN_OR_RETURN(config.rms_norm_eps,
                         object.positive_number_or("rms_norm_eps", family.default_rms_norm_eps));
  ROTOR_ASSIGN_OR_RETURN(config.activation, parse_activation(object, family));
  ROTOR_RETURN_IF_ERROR(parse_ropes(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_attention(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_delta(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_mixture(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_tied(root, decoder, family, config));
  ROTOR_ASSIGN_OR_RETURN(config.named_dtype, parse_dtype(root, object));
  set_dtype(config.named_dtype.value_or(family.default_dtype), config);
  ROTOR_RETURN_IF_ERROR(parse_embedding_scale(object, family, config));
  return config;
}

}  // namespace rotor
