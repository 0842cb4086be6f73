#include "model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/config_attention.h"
#include "model/config_latent.h"
#include "model/config_mixture.h"
#include "model/config_rope.h"
#include "model/families.h"
#include "model/json_object.h"
#include "quant/base/json.h"
#include "quant/format/bf16.h"

namespace rotor {
namespace {

constexpr int64_t kMostLayers = 10'000;
constexpr const char* kReason = "BAD_CONFIG";

Result<DType> parse_dtype(const JsonObject& object, const Family& family) {
  const std::string key = object.has("dtype") ? "dtype" : "torch_dtype";
  ROTOR_ASSIGN_OR_RETURN(std::string name,
                         object.string_or(key, std::string(family.default_dtype)));
  if (name.starts_with("torch.")) {
    name.erase(0, 6);
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
  return object.error(key, "supported are bfloat16, float16 and float32: convert the model");
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

/// sqrt(hidden_size) as the model's own dtype holds it, because so the model was trained.
float scale_of_embeddings(const ModelConfig& config) {
  const float root = std::sqrt(static_cast<float>(config.hidden_size));
  switch (config.dtype) {
    case DType::kBf16:
      return bf16_to_f32(f32_to_bf16(root));
    case DType::kF16:
      return f16_to_f32(f32_to_f16(root));
    default:
      return root;
  }
}

}  // namespace

Result<ModelConfig> parse_model_config(const std::string& text, const std::string& path,
                                       bool allow_quantized) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json root, parse_json(text, path));
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::make(root, path, "", kReason));
  ModelConfig config;
  ROTOR_ASSIGN_OR_RETURN(config.source_quantization,
                         parse_source_quantization(object, allow_quantized));
  ROTOR_ASSIGN_OR_RETURN(config.model_type, object.string("model_type"));
  const Result<const Family*> found = find_family(config.model_type);
  if (!found.ok()) {
    return found.status().with_context(path).with_detail("file", path);
  }
  const Family& family = **found;
  if (object.has("architectures")) {
    ROTOR_ASSIGN_OR_RETURN(const auto names, object.array("architectures"));
    if (!names.empty()) {
      if (!names[0]->is_string()) {
        return object.error("architectures", "it must be an array of strings");
      }
      config.architecture = names[0]->get<std::string>();
    }
  }
  const auto size = [&](const char* key) { return object.integer(key, 1, kMostSize); };
  ROTOR_ASSIGN_OR_RETURN(config.hidden_size, size("hidden_size"));
  ROTOR_ASSIGN_OR_RETURN(config.intermediate_size, size("intermediate_size"));
  ROTOR_ASSIGN_OR_RETURN(config.num_layers, object.integer("num_hidden_layers", 1, kMostLayers));
  ROTOR_ASSIGN_OR_RETURN(config.vocab_size, size("vocab_size"));
  ROTOR_ASSIGN_OR_RETURN(config.max_position_embeddings, size("max_position_embeddings"));
  ROTOR_RETURN_IF_ERROR(family.latent_attention ? parse_latent_attention(object, config)
                                                : parse_heads(object, config));
  ROTOR_ASSIGN_OR_RETURN(config.rms_norm_eps,
                         object.positive_number_or("rms_norm_eps", family.default_rms_norm_eps));
  ROTOR_ASSIGN_OR_RETURN(config.activation, parse_activation(object, family));
  ROTOR_RETURN_IF_ERROR(parse_ropes(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_attention(object, family, config));
  ROTOR_RETURN_IF_ERROR(parse_mixture(object, family, config));
  ROTOR_ASSIGN_OR_RETURN(config.tie_word_embeddings,
                         object.boolean_or("tie_word_embeddings", family.default_tied));
  ROTOR_ASSIGN_OR_RETURN(config.dtype, parse_dtype(object, family));
  if (family.scales_embedding) {
    config.embedding_scale = scale_of_embeddings(config);
  }
  return config;
}

}  // namespace rotor
