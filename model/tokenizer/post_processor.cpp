#include "model/tokenizer/post_processor.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace rotor {
namespace {

Result<std::vector<int32_t>> special_token_ids(const JsonObject& processor,
                                               const std::string& token) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject tokens, processor.object("special_tokens"));
  ROTOR_ASSIGN_OR_RETURN(const JsonObject entry, tokens.object(token));
  ROTOR_ASSIGN_OR_RETURN(const auto elements, entry.array("ids"));
  std::vector<int32_t> ids;
  for (const nlohmann::json* element : elements) {
    if (!element->is_number_unsigned() ||
        element->get<uint64_t>() >= std::numeric_limits<int32_t>::max()) {
      return entry.error("ids", "it must be an array of token ids");
    }
    ids.push_back(element->get<int32_t>());
  }
  return ids;
}

Status add_template(const JsonObject& processor, PostProcessor& out) {
  ROTOR_ASSIGN_OR_RETURN(const auto items, processor.array("single"));
  // What an outer processor puts around the text stands outside of what an inner one put.
  std::vector<int32_t> before;
  bool seen_text = false;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string where = processor.full_key("single[" + std::to_string(i) + "]");
    ROTOR_ASSIGN_OR_RETURN(const JsonObject item, JsonObject::make(*items[i], processor.file(),
                                                                   where, processor.reason()));
    if (item.has("Sequence")) {
      ROTOR_ASSIGN_OR_RETURN(const JsonObject sequence, item.object("Sequence"));
      ROTOR_ASSIGN_OR_RETURN(const std::string id, sequence.string("id"));
      if (id != "A" || seen_text) {
        return processor.error("single", "it must hold the sequence A, and it once");
      }
      seen_text = true;
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const JsonObject special, item.object("SpecialToken"));
    ROTOR_ASSIGN_OR_RETURN(const std::string token, special.string("id"));
    ROTOR_ASSIGN_OR_RETURN(const auto ids, special_token_ids(processor, token));
    std::vector<int32_t>& side = seen_text ? out.after : before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!seen_text) {
    return processor.error("single", "it must hold the sequence A, and it once");
  }
  out.before.insert(out.before.begin(), before.begin(), before.end());
  return {};
}

Status add_component(const JsonObject& object, PostProcessor& out) {
  ROTOR_ASSIGN_OR_RETURN(const std::string type, object.string("type"));
  if (type == "TemplateProcessing") {
    return add_template(object, out);
  }
  if (type == "ByteLevel") {
    return {};
  }
  if (type == "Sequence") {
    ROTOR_ASSIGN_OR_RETURN(const auto elements, object.array("processors"));
    for (size_t i = 0; i < elements.size(); ++i) {
      const std::string where = object.full_key("processors[" + std::to_string(i) + "]");
      ROTOR_ASSIGN_OR_RETURN(const JsonObject element,
                             JsonObject::make(*elements[i], object.file(), where, object.reason()));
      ROTOR_RETURN_IF_ERROR(add_component(element, out));
    }
    return {};
  }
  return object.unsupported("type",
                            "post-processors supported are Sequence, TemplateProcessing and "
                            "ByteLevel; give calibration data as JSON lines with \"input_ids\" "
                            "instead",
                            "UNSUPPORTED_TOKENIZER");
}

}  // namespace

Result<PostProcessor> parse_post_processor(const JsonObject& tokenizer) {
  PostProcessor processor;
  if (tokenizer.has("post_processor")) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, tokenizer.object("post_processor"));
    ROTOR_RETURN_IF_ERROR(add_component(object, processor));
  }
  return processor;
}

}  // namespace rotor
