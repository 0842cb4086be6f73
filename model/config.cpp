#include "model/config.h"

#include <algorithm>
#include <utility>

#include "model/families.h"
#include "model/json_object.h"
#include "quant/base/json.h"

namespace rotor {
namespace {

constexpr int64_t kMostSize = int64_t{1} << 31;
constexpr int64_t kMostLayers = 10'000;
constexpr const char* kReason = "BAD_CONFIG";

Result<DType> parse_dtype(const JsonObject& object) {
  const std::string key = object.has("dtype") ? "dtype" : "torch_dtype";
  ROTOR_ASSIGN_OR_RETURN(std::string name, object.string_or(key, "float32"));
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

Result<ActivationKind> parse_activation(const JsonObject& object) {
  ROTOR_ASSIGN_OR_RETURN(const std::string name, object.string_or("hidden_act", "silu"));
  if (name == "silu" || name == "swish") {
    return ActivationKind::kSilu;
  }
  return object.unsupported("hidden_act", "the only activation supported is silu",
                            "UNSUPPORTED_ACTIVATION");
}

/// What `rope` (rope_scaling or rope_parameters) says beyond theta.
Status parse_rope_type(const JsonObject& rope, RopeConfig& out) {
  const std::string key = rope.has("rope_type") ? "rope_type" : "type";
  ROTOR_ASSIGN_OR_RETURN(const std::string type, rope.string(key));
  if (type == "default") {
    out.type = RopeType::kDefault;
    return {};
  }
  if (type == "linear") {
    out.type = RopeType::kLinear;
    ROTOR_ASSIGN_OR_RETURN(out.factor, rope.positive_number("factor"));
    return {};
  }
  if (type == "llama3") {
    out.type = RopeType::kLlama3;
    ROTOR_ASSIGN_OR_RETURN(out.factor, rope.positive_number("factor"));
    ROTOR_ASSIGN_OR_RETURN(out.low_freq_factor, rope.positive_number("low_freq_factor"));
    ROTOR_ASSIGN_OR_RETURN(out.high_freq_factor, rope.positive_number("high_freq_factor"));
    ROTOR_ASSIGN_OR_RETURN(out.original_max_position_embeddings,
                           rope.integer("original_max_position_embeddings", 1, kMostSize));
    if (out.high_freq_factor <= out.low_freq_factor) {
      return rope.error("high_freq_factor", "it must be greater than low_freq_factor, which is " +
                                                std::to_string(out.low_freq_factor));
    }
    return {};
  }
  return rope.unsupported(key, "supported are default, linear and llama3", "UNSUPPORTED_ROPE");
}

Result<RopeConfig> parse_rope(const JsonObject& object) {
  RopeConfig rope;
  ROTOR_ASSIGN_OR_RETURN(rope.theta, object.positive_number_or("rope_theta", rope.theta));
  // transformers 5 writes rope_parameters; where a file has both, it is the one that counts.
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!object.has(key)) {
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const JsonObject inner, object.object(key));
    ROTOR_ASSIGN_OR_RETURN(rope.theta, inner.positive_number_or("rope_theta", rope.theta));
    ROTOR_RETURN_IF_ERROR(parse_rope_type(inner, rope));
    ROTOR_ASSIGN_OR_RETURN(const double share,
                           inner.positive_number_or("partial_rotary_factor", 1.0));
    if (share != 1.0) {
      return inner.error("partial_rotary_factor", "only whole heads can be rotated (1.0)");
    }
    break;
  }
  ROTOR_ASSIGN_OR_RETURN(const double share,
                         object.positive_number_or("partial_rotary_factor", 1.0));
  if (share != 1.0) {
    return object.error("partial_rotary_factor", "only whole heads can be rotated (1.0)");
  }
  return rope;
}

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

/// The keys that a family may ignore or leave out of its config.json.
Status parse_family_keys(const JsonObject& object, ModelConfig& config) {
  const Family* family = find_family(config.model_type);
  if (family == nullptr || family->reads_bias_keys) {
    ROTOR_ASSIGN_OR_RETURN(config.attention_bias, object.boolean_or("attention_bias", false));
    ROTOR_ASSIGN_OR_RETURN(config.mlp_bias, object.boolean_or("mlp_bias", false));
  }
  if (family == nullptr || family->reads_sliding_window) {
    // An explicit null means no window, a missing key the family's default.
    const bool given = object.contains("sliding_window");
    const int64_t fallback = given || family == nullptr ? 0 : family->default_sliding_window;
    ROTOR_ASSIGN_OR_RETURN(config.sliding_window,
                           object.integer_or("sliding_window", fallback, 0, kMostSize));
  }
  return {};
}

Status refuse_quantized(const JsonObject& object) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (object.has(key)) {
      return invalid_argument(object.file() + ": the checkpoint is quantized already (key \"" +
                              key + "\"): give the original model, in bfloat16, float16 or float32")
          .with_reason("ALREADY_QUANTIZED")
          .with_detail("file", object.file())
          .with_detail("key", key);
    }
  }
  return {};
}

}  // namespace

Result<ModelConfig> parse_model_config(const std::string& text, const std::string& path,
                                       bool allow_quantized) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json root, parse_json(text, path));
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::make(root, path, "", kReason));
  if (!allow_quantized) {
    ROTOR_RETURN_IF_ERROR(refuse_quantized(object));
  }

  ModelConfig config;
  ROTOR_ASSIGN_OR_RETURN(config.model_type, object.string("model_type"));
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
  ROTOR_RETURN_IF_ERROR(parse_heads(object, config));
  ROTOR_ASSIGN_OR_RETURN(config.rms_norm_eps,
                         object.positive_number_or("rms_norm_eps", config.rms_norm_eps));
  ROTOR_ASSIGN_OR_RETURN(config.activation, parse_activation(object));
  ROTOR_ASSIGN_OR_RETURN(config.rope, parse_rope(object));
  ROTOR_ASSIGN_OR_RETURN(config.tie_word_embeddings,
                         object.boolean_or("tie_word_embeddings", false));
  ROTOR_RETURN_IF_ERROR(parse_family_keys(object, config));
  ROTOR_ASSIGN_OR_RETURN(config.dtype, parse_dtype(object));
  return config;
}

}  // namespace rotor
