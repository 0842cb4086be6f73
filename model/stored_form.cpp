#include "model/stored_form.h"

#include <nlohmann/json.hpp>
#include <string>

#include "model/stored_schemes.h"
#include "quant/base/config_json.h"

namespace rotor {
namespace {

using nlohmann::json;

constexpr const char* kKey = "quantization_config";
constexpr const char* kOldKey = "compression_config";
constexpr const char* kText = "text_config";

/// Names `quant_method` where there is one, else the whole key.
Status already_quantized(const JsonObject& config, const std::string& key) {
  constexpr const char* kMethod = "quant_method";
  const Result<JsonObject> object = config.object(key);
  const bool named = object.ok() && object->has(kMethod);
  const JsonObject& place = named ? *object : config;
  return place
      .error(named ? kMethod : key,
             "the checkpoint is quantized already, and not in a form that is read (\"fp8\", "
             "\"fbgemm_fp8\", \"mxfp4\" and \"compressed-tensors\"): give the original model, in "
             "bfloat16, float16 or float32")
      .with_reason("ALREADY_QUANTIZED");
}

/// The object whose key it is: config.json's, or its text part's.
Result<JsonObject> find_place(const JsonObject& config) {
  const json* text = config.find(kText);
  if (text == nullptr || !text->is_object() || !text->contains(kKey) || (*text)[kKey].is_null()) {
    return config;
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject part, config.object(kText));
  if (config.has(kKey) && *config.find(kKey) != *part.find(kKey)) {
    return part.error(kKey, "config.json has another at its root; remove the one that is wrong");
  }
  return part;
}

}  // namespace

Result<SourceQuantization> parse_source_quantization(const JsonObject& config,
                                                     bool allow_quantized) {
  if (config.has(kOldKey) && !allow_quantized) {
    return already_quantized(config, kOldKey);
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject place, find_place(config));
  const json* quantization = place.find(kKey);
  if (quantization == nullptr) {
    return SourceQuantization{};
  }
  const json method =
      quantization->is_object() ? quantization->value("quant_method", json()) : json();
  if (method == "mxfp4") {
    return SourceQuantization{.form = StoredForm::kMxfp4Experts};
  }
  if (method == "fp8" || method == "fbgemm_fp8") {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, place.object(kKey));
    return parse_fp8_schemes(object);
  }
  if (method == "compressed-tensors") {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, place.object(kKey));
    Result<SourceQuantization> schemes = parse_compressed_schemes(object);
    if (schemes.ok() || !allow_quantized) {
      return schemes;
    }
  } else if (!allow_quantized) {
    return already_quantized(place, kKey);
  }
  return SourceQuantization{};
}

Result<std::string> without_source_quantization(const std::string& config_text) {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                         parse_ordered_config_json(config_text, "config.json"));
  config.erase(kKey);
  if (const auto text = config.find(kText); text != config.end() && text->is_object()) {
    text->erase(kKey);
  }
  return dump_config_json(config);
}

}  // namespace rotor
