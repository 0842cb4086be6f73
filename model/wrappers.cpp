#include "model/wrappers.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "quant/base/config_json.h"
#include "quant/base/text.h"

namespace rotor {
namespace {

constexpr const char* kText = "text_config";

struct Wrapper {
  std::string_view model_type;
  /// Of text parts; the first is the one where text_config names none.
  std::array<std::string_view, 4> text_types;
  /// Published with the text part's keys among its own, as well.
  bool flat = false;
};

constexpr std::array kWrappers = {
    Wrapper{"gemma3", {"gemma3_text"}},
    Wrapper{"llama4", {"llama4_text"}},
    Wrapper{"llava", {"llama", "mistral", "qwen2"}},
    Wrapper{"mistral3", {"mistral", "ministral"}},
    Wrapper{"qwen2_5_vl", {"qwen2_5_vl_text"}, true},
    Wrapper{"qwen3_5", {"qwen3_5_text"}},
    Wrapper{"qwen3_5_moe", {"qwen3_5_moe_text"}},
    Wrapper{"qwen3_vl", {"qwen3_vl_text"}},
    Wrapper{"qwen3_vl_moe", {"qwen3_vl_moe_text"}},
};

std::string supported() {
  std::string list;
  for (const Wrapper& wrapper : kWrappers) {
    list += (list.empty() ? "" : ", ") + std::string(wrapper.model_type) + " (";
    for (const std::string_view type : wrapper.text_types) {
      if (!type.empty()) {
        list += (type == wrapper.text_types.front() ? "" : ", ") + std::string(type);
      }
    }
    list += ")";
  }
  return list;
}

Status unsupported(const JsonObject& root, const std::string& outer, const std::string& inner) {
  return unimplemented(root.file() + ": model_type " + printable(outer) + " around a text part (" +
                       kText + ") of model_type " + printable(inner) +
                       " is not supported; supported are: " + supported())
      .with_reason("UNSUPPORTED_MODEL_TYPE")
      .with_detail("file", root.file())
      .with_detail("model_type", printable(outer))
      .with_detail("text_model_type", printable(inner));
}

}  // namespace

Result<DecoderConfig> find_decoder(const JsonObject& root) {
  ROTOR_ASSIGN_OR_RETURN(std::string type, root.string("model_type"));
  const auto wrapper = std::find_if(kWrappers.begin(), kWrappers.end(),
                                    [&](const Wrapper& w) { return w.model_type == type; });
  const bool nested = root.has(kText);
  if (wrapper == kWrappers.end() && !nested) {
    return DecoderConfig{root, std::move(type), "", nested};
  }
  if (!nested && wrapper->flat) {
    return DecoderConfig{root, std::string(wrapper->text_types.front()), std::move(type), nested};
  }
  ROTOR_ASSIGN_OR_RETURN(JsonObject text, root.object(kText));
  const std::string fallback(wrapper == kWrappers.end() ? "" : wrapper->text_types.front());
  ROTOR_ASSIGN_OR_RETURN(std::string text_type, text.string_or("model_type", fallback));
  if (wrapper == kWrappers.end() || text_type.empty() ||
      std::find(wrapper->text_types.begin(), wrapper->text_types.end(), text_type) ==
          wrapper->text_types.end()) {
    return unsupported(root, type, text_type);
  }
  return DecoderConfig{std::move(text), std::move(text_type), std::move(type), nested};
}

Result<std::string> with_named_dtype(const std::string& config_text, DType dtype) {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                         parse_ordered_config_json(config_text, "config.json"));
  const auto name_in = [&](nlohmann::ordered_json& object) {
    for (const char* key : kDtypeKeys) {
      if (object.value(key, nlohmann::ordered_json()) == kAutoDtype) {
        object[key] = dtype == DType::kBf16  ? "bfloat16"
                      : dtype == DType::kF16 ? "float16"
                                             : "float32";
      }
    }
  };
  name_in(config);
  if (const auto text = config.find(kText); text != config.end() && text->is_object()) {
    name_in(*text);
  }
  return dump_config_json(config);
}

Result<std::string> with_boolean(const std::string& config_text, const std::string& key,
                                 bool value) {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                         parse_ordered_config_json(config_text, "config.json"));
  config[key] = value;
  if (const auto text = config.find(kText);
      text != config.end() && text->is_object() && text->contains(key)) {
    (*text)[key] = value;
  }
  return dump_config_json(config);
}

}  // namespace rotor
