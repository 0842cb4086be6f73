#include "model/config_rope.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace rotor {
namespace {

constexpr int64_t kMostPositions = int64_t{1} << 31;
constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

/// Of the model before it was stretched. `model` is the file's own object, and what stands there
/// counts first: Phi-3 keeps it there. Where it is given nowhere it is the whole length.
Status parse_original_length(const JsonObject& model, const JsonObject& rope,
                             const ModelConfig& config, RopeConfig& out) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  const JsonObject& holder = model.has(kOriginal) ? model : rope;
  ROTOR_ASSIGN_OR_RETURN(
      out.original_max_position_embeddings,
      holder.integer_or(kOriginal, config.max_position_embeddings, 1, kMostPositions));
  return {};
}

Status parse_llama3(const JsonObject& model, const JsonObject& rope, const ModelConfig& config,
                    RopeConfig& out) {
  ROTOR_ASSIGN_OR_RETURN(out.factor, rope.positive_number("factor"));
  ROTOR_ASSIGN_OR_RETURN(out.low_freq_factor, rope.positive_number("low_freq_factor"));
  ROTOR_ASSIGN_OR_RETURN(out.high_freq_factor, rope.positive_number("high_freq_factor"));
  ROTOR_RETURN_IF_ERROR(parse_original_length(model, rope, config, out));
  // Llama 4 Scout has two equal ones, and so nothing to blend.
  if (out.high_freq_factor < out.low_freq_factor) {
    return rope.error("high_freq_factor", "it must be at least low_freq_factor, which is " +
                                              std::to_string(out.low_freq_factor));
  }
  return {};
}

Result<std::vector<double>> parse_factors(const JsonObject& rope, const std::string& key,
                                          int64_t count) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> elements, rope.array(key));
  std::vector<double> factors;
  for (const nlohmann::json* element : elements) {
    if (!element->is_number() || !(element->get<double>() > 0.0)) {
      return rope.error(key, "its elements must be numbers greater than 0");
    }
    factors.push_back(element->get<double>());
  }
  if (static_cast<int64_t>(factors.size()) != count) {
    return rope.error(key, "it has " + std::to_string(factors.size()) +
                               " elements; one for each of the " + std::to_string(count) +
                               " frequencies is needed");
  }
  return factors;
}

Status parse_longrope(const JsonObject& model, const JsonObject& rope, const ModelConfig& config,
                      RopeConfig& out) {
  // What stands at rope is not read, and a missing key would be a default of 4096.
  ROTOR_ASSIGN_OR_RETURN(out.original_max_position_embeddings,
                         model.integer("original_max_position_embeddings", 2, kMostPositions));
  const int64_t frequencies = out.rotary_features(config.head_dim) / 2;
  ROTOR_ASSIGN_OR_RETURN(out.short_factors, parse_factors(rope, "short_factor", frequencies));
  ROTOR_ASSIGN_OR_RETURN(out.long_factors, parse_factors(rope, "long_factor", frequencies));
  const auto original = static_cast<double>(out.original_max_position_embeddings);
  const double stretch = static_cast<double>(config.max_position_embeddings) / original;
  ROTOR_ASSIGN_OR_RETURN(const double factor, rope.positive_number_or("factor", stretch));
  // LongRoPE, arXiv 2402.13753, section 3.3.
  const double entropy =
      factor > 1.0 ? std::sqrt(1.0 + std::log(factor) / std::log(original)) : 1.0;
  ROTOR_ASSIGN_OR_RETURN(out.attention_factor,
                         rope.positive_number_or("attention_factor", entropy));
  return {};
}

/// A weight of YaRN's magnitude; 0, which stands for none, where it is not given.
Result<double> parse_weight(const JsonObject& rope, const std::string& key) {
  const nlohmann::json* found = rope.find(key);
  const bool none = found != nullptr && found->is_number() && found->get<double>() == 0.0;
  return none ? Result<double>(0.0) : rope.positive_number_or(key, 0.0);
}

Status parse_yarn(const JsonObject& model, const JsonObject& rope, const ModelConfig& config,
                  RopeConfig& out) {
  ROTOR_RETURN_IF_ERROR(parse_original_length(model, rope, config, out));
  const double stretch = static_cast<double>(config.max_position_embeddings) /
                         static_cast<double>(out.original_max_position_embeddings);
  // A factor that is null, but not one that is left out, is the ratio of the lengths.
  ROTOR_ASSIGN_OR_RETURN(out.factor, rope.contains("factor")
                                         ? rope.positive_number_or("factor", stretch)
                                         : rope.positive_number("factor"));
  ROTOR_ASSIGN_OR_RETURN(out.beta_fast, rope.positive_number_or("beta_fast", 32.0));
  ROTOR_ASSIGN_OR_RETURN(out.beta_slow, rope.positive_number_or("beta_slow", 1.0));
  if (out.beta_fast < out.beta_slow) {
    return rope.error("beta_fast",
                      "it must be at least beta_slow, which is " + std::to_string(out.beta_slow));
  }
  ROTOR_ASSIGN_OR_RETURN(out.truncate, rope.boolean_or("truncate", true));
  if (out.theta <= 1.0) {
    return rope.error("rope_theta", "yarn needs one greater than 1");
  }
  ROTOR_ASSIGN_OR_RETURN(const double numerator, parse_weight(rope, "mscale"));
  ROTOR_ASSIGN_OR_RETURN(const double denominator, parse_weight(rope, "mscale_all_dim"));
  if (denominator > 0.0) {
    const double each = yarn_magnitude(out.factor, denominator);
    out.score_factor = each * each;  // of a query times that of a key
  }
  const bool weighed = numerator > 0.0 && denominator > 0.0;
  const double magnitude =
      weighed ? yarn_magnitude(out.factor, numerator) / yarn_magnitude(out.factor, denominator)
              : yarn_magnitude(out.factor, 1.0);
  ROTOR_ASSIGN_OR_RETURN(out.attention_factor,
                         rope.positive_number_or("attention_factor", magnitude));
  return {};
}

/// What `rope` (rope_scaling, rope_parameters or one of its layer types) says beyond theta.
Status parse_type(const JsonObject& model, const JsonObject& rope, const Family& family,
                  const ModelConfig& config, RopeConfig& out) {
  const std::string key = rope.has("rope_type") ? "rope_type" : "type";
  // Whoever gives a factor means a type.
  ROTOR_ASSIGN_OR_RETURN(const std::string type,
                         rope.has("factor") ? rope.string(key) : rope.string_or(key, "default"));
  if (type == "default" || (type == "mrope" && family.reads_mrope)) {
    out.type = RopeType::kDefault;
    return {};
  }
  if (type == "dynamic") {
    // Stretches what is longer than max_position_embeddings, which no window is.
    out.type = RopeType::kDefault;
    return rope.positive_number("factor").status();
  }
  if (type == "linear") {
    out.type = RopeType::kLinear;
    ROTOR_ASSIGN_OR_RETURN(out.factor, rope.positive_number("factor"));
    return {};
  }
  if (type == "llama3") {
    out.type = RopeType::kLlama3;
    return parse_llama3(model, rope, config, out);
  }
  // The first models had other names for it.
  if (family.reads_longrope && (type == "longrope" || type == "su" || type == "yarn")) {
    out.type = RopeType::kLongRope;
    return parse_longrope(model, rope, config, out);
  }
  if (type == "yarn") {
    out.type = RopeType::kYarn;
    return parse_yarn(model, rope, config, out);
  }
  return rope.unsupported(key,
                          family.reads_longrope
                              ? "supported are default, dynamic, linear, llama3 and longrope"
                              : "supported are default, dynamic, linear, llama3 and yarn",
                          "UNSUPPORTED_ROPE");
}

Status parse_share(const JsonObject& object, const Family& family, int64_t head_dim,
                   RopeConfig& rope) {
  constexpr const char* kKey = "partial_rotary_factor";
  ROTOR_ASSIGN_OR_RETURN(rope.rotary_share, object.positive_number_or(kKey, rope.rotary_share));
  if (rope.rotary_share != 1.0 && !family.reads_partial_rotary) {
    return object.error(kKey, "this model type rotates whole heads (1.0)");
  }
  // A share beyond 1 may be too large for a number of columns.
  const int64_t rotated = rope.rotary_share <= 1.0 ? rope.rotary_features(head_dim) : 0;
  if (rotated < 2 || rotated % 2 != 0) {
    return object.error(kKey, "of heads of " + std::to_string(head_dim) +
                                  " it must leave an even number of columns to rotate");
  }
  return {};
}

/// `inner` over what `rope` is so far.
Status parse_rope(const JsonObject& model, const JsonObject& inner, const Family& family,
                  const ModelConfig& config, RopeConfig& rope) {
  for (const char* type : {"full_attention", "sliding_attention", "chunked_attention"}) {
    if (inner.has(type)) {
      return inner.error(type, "this model type has one embedding for all layers");
    }
  }
  ROTOR_ASSIGN_OR_RETURN(rope.theta, inner.positive_number_or("rope_theta", rope.theta));
  ROTOR_RETURN_IF_ERROR(parse_share(inner, family, config.head_dim, rope));
  return parse_type(model, inner, family, config, rope);
}

/// Whether the key holds more than null or an empty object, which both stand for nothing.
bool is_given(const JsonObject& object, const char* key) {
  const nlohmann::json* found = object.find(key);
  return found != nullptr && !(found->is_object() && found->empty());
}

/// Of families whose layers with a window have an embedding of their own. rope_scaling is of the
/// other layers, and changes what rope_parameters says of them.
Status parse_by_layer_type(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (!is_given(object, "rope_parameters")) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject inner, object.object("rope_scaling"));
    return parse_rope(object, inner, family, config, config.rope);
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject by_type, object.object("rope_parameters"));
  if (!by_type.has(kFull) && !by_type.has(kSliding)) {
    return object.error("rope_parameters",
                        "for this model type it must hold an object for each layer type, "
                        "full_attention and sliding_attention");
  }
  nlohmann::json full = nlohmann::json::object();
  for (const auto& [holder, key] :
       {std::pair(&by_type, kFull), std::pair(&object, "rope_scaling")}) {
    if (holder->has(key)) {
      ROTOR_RETURN_IF_ERROR(holder->object(key).status());
      full.update(*holder->find(key));
    }
  }
  ROTOR_ASSIGN_OR_RETURN(
      const JsonObject inner,
      JsonObject::make(full, object.file(), by_type.full_key(kFull), object.reason()));
  // What stands beside these keys is not read: the length is that of each.
  ROTOR_RETURN_IF_ERROR(parse_rope(inner, inner, family, config, config.rope));
  if (!by_type.has(kSliding)) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject sliding, by_type.object(kSliding));
  return parse_rope(sliding, sliding, family, config, *config.local_rope);
}

/// Of a file that says nothing but theta.
Status parse_default(const JsonObject& model, const Family& family, const ModelConfig& config,
                     RopeConfig& rope) {
  if (family.default_rope_scaling.empty()) {
    return {};
  }
  const auto scaling = nlohmann::json::parse(family.default_rope_scaling);
  ROTOR_ASSIGN_OR_RETURN(const JsonObject object,
                         JsonObject::make(scaling, model.file(), "rope_scaling", model.reason()));
  return parse_type(model, object, family, config, rope);
}

}  // namespace

double yarn_magnitude(double scale, double weight) {
  return scale > 1.0 ? 1.0 + 0.1 * weight * std::log(scale) : 1.0;
}

Status parse_ropes(const JsonObject& object, const Family& family, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.rotary_share = family.default_rotary_share;
  if (family.reads_rotary_dim && object.has("rotary_dim")) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t columns, object.integer("rotary_dim", 2, config.head_dim));
    rope.rotary_share = static_cast<double>(columns) / static_cast<double>(config.head_dim);
  }
  ROTOR_ASSIGN_OR_RETURN(rope.theta,
                         object.positive_number_or("rope_theta", family.default_rope_theta));
  ROTOR_RETURN_IF_ERROR(parse_share(object, family, config.head_dim, rope));
  const bool has_local = family.default_local_rope_theta > 0.0 || family.local_rope_unscaled;
  if (family.local_rope_unscaled) {
    config.local_rope.emplace();
    config.local_rope->theta = rope.theta;
  } else if (has_local) {
    config.local_rope.emplace();
    ROTOR_ASSIGN_OR_RETURN(
        config.local_rope->theta,
        object.positive_number_or("rope_local_base_freq", family.default_local_rope_theta));
  }
  // transformers 5 writes rope_parameters; where a file has both, it reads rope_scaling.
  const char* key = is_given(object, "rope_scaling") ? "rope_scaling" : "rope_parameters";
  if (!is_given(object, key)) {
    return parse_default(object, family, config, rope);
  }
  if (!has_local) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject inner, object.object(key));
    return parse_rope(object, inner, family, config, rope);
  }
  return parse_by_layer_type(object, family, config);
}

}  // namespace rotor
