#include "model/calibration/documents.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "model/calibration/line_reader.h"
#include "model/json_object.h"
#include "quant/base/json.h"

namespace rotor {
namespace {

using nlohmann::json;

// Larger files are better given line by line.
constexpr JsonLimits kArrayLimits = {
    .max_depth = 8, .max_bytes = size_t{1} << 30, .max_values = size_t{1} << 26};

constexpr std::string_view kChatRemedy =
    "chats are rendered first, by the model's own template: `rotor prepare-calibration MODEL "
    "--calibration FILE --output ids.jsonl` (`rotor quantize` does it by itself)";

Status bad_value(const DocumentPlace& place, const std::string& key, const json& found,
                 const std::string& expected) {
  return bad_document(place, "\"" + key + "\" is " + brief_json(found) + "; " + expected)
      .with_detail("key", key);
}

Status parse_ids(const json& array, int64_t vocab_size, Document& out) {
  if (!array.is_array()) {
    return bad_value(out.place, "input_ids", array, "it must be an array of token ids");
  }
  out.ids.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    // A negative number is integer, but not unsigned.
    const json& id = array[i];
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
      return bad_value(out.place, "input_ids[" + std::to_string(i) + "]", id,
                       "token ids are integers from 0 to " + std::to_string(vocab_size - 1) +
                           ": was it made with another model's tokenizer?");
    }
    out.ids.push_back(id.get<int32_t>());
  }
  out.has_ids = true;
  return {};
}

/// Drops the ids that attention_mask takes out: padding is nothing to calibrate on.
Status apply_mask(const json& mask, Document& out) {
  constexpr const char* kKey = "attention_mask";
  if (!mask.is_array() || mask.size() != out.ids.size()) {
    return bad_value(out.place, kKey, mask,
                     "it must be an array of as many numbers as input_ids has, which are " +
                         std::to_string(out.ids.size()));
  }
  size_t kept = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0 && mask[i] != 1) {
      return bad_value(out.place, std::string(kKey) + "[" + std::to_string(i) + "]", mask[i],
                       "it must be 1 for a token that is seen, and 0 for padding");
    }
    if (mask[i] == 1) {
      out.ids[kept++] = out.ids[i];
    }
  }
  out.ids.resize(kept);
  return {};
}

Result<Document> parse_document(DocumentPlace place, json value, bool may_be_string,
                                int64_t vocab_size) {
  Document document;
  document.place = std::move(place);
  if (may_be_string && value.is_string()) {
    document.text = std::move(value.get_ref<std::string&>());
    return document;
  }
  if (!value.is_object()) {
    return bad_document(document.place,
                        brief_json(value) + " is not an object with \"text\" or \"input_ids\"");
  }
  const bool has_text = value.contains("text");
  const bool has_ids = value.contains("input_ids");
  if (has_text && has_ids) {
    return bad_document(document.place, "has both \"text\" and \"input_ids\"; keep one of them");
  }
  if (has_ids) {
    ROTOR_RETURN_IF_ERROR(parse_ids(value["input_ids"], vocab_size, document));
    if (value.contains("attention_mask")) {
      ROTOR_RETURN_IF_ERROR(apply_mask(value["attention_mask"], document));
    }
    return document;
  }
  if (has_text) {
    json& text = value["text"];
    if (!text.is_string()) {
      return bad_value(document.place, "text", text, "it must be a string");
    }
    document.text = std::move(text.get_ref<std::string&>());
    const json special = value.value("add_special_tokens", json(true));
    if (!special.is_boolean()) {
      return bad_value(document.place, "add_special_tokens", special, "it must be true or false");
    }
    document.special_tokens = special.get<bool>();
    return document;
  }
  for (const char* key : {"messages", "conversations", "completion"}) {
    if (value.contains(key)) {
      return bad_document(document.place, std::string(kChatRemedy)).with_detail("key", key);
    }
  }
  return bad_document(document.place, "has neither \"text\" nor \"input_ids\"");
}

Status no_documents(const std::string& path) {
  return invalid_argument(path + ": the file holds no document; give text to calibrate on")
      .with_reason("BAD_CALIBRATION_DATA")
      .with_detail("file", path);
}

Status read_lines(FileSystem& fs, const std::string& path, int64_t vocab_size,
                  const std::function<Result<bool>(Document)>& sink) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_reading(path));
  LineReader reader(*file);
  std::string_view line;
  bool any = false;
  while (true) {
    ROTOR_ASSIGN_OR_RETURN(const bool more, reader.next(line));
    if (!more) {
      break;
    }
    if (line.find_first_not_of(" \t") == std::string_view::npos) {
      continue;
    }
    any = true;
    DocumentPlace place{path, "line", reader.line_number()};
    Result<json> value = parse_json(line, place.text());
    if (!value.ok()) {
      return value.status()
          .with_reason("BAD_CALIBRATION_DATA")
          .with_detail("file", path)
          .with_detail("line", std::to_string(place.number));
    }
    ROTOR_ASSIGN_OR_RETURN(
        Document document,
        parse_document(std::move(place), std::move(value).value(), false, vocab_size));
    ROTOR_ASSIGN_OR_RETURN(const bool go_on, sink(std::move(document)));
    if (!go_on) {
      break;
    }
  }
  return any ? Status() : no_documents(path);
}

Status read_array(FileSystem& fs, const std::string& path, int64_t vocab_size,
                  const std::function<Result<bool>(Document)>& sink) {
  ROTOR_ASSIGN_OR_RETURN(const std::string bytes,
                         read_whole_file(fs, path, static_cast<int64_t>(kArrayLimits.max_bytes)));
  const std::string_view text = without_mark(bytes);
  Result<json> parsed = parse_json(text, path, kArrayLimits);
  if (!parsed.ok()) {
    const auto line = line_at(text, std::stoull(parsed.status().details().at("offset")));
    // Once more, now that the place is known.
    return parse_json(text, DocumentPlace{path, "line", line}.text(), kArrayLimits)
        .status()
        .with_reason("BAD_CALIBRATION_DATA")
        .with_detail("file", path)
        .with_detail("line", std::to_string(line));
  }
  json root = std::move(parsed).value();
  if (!root.is_array()) {
    return invalid_argument(
               path + ": the file is " + brief_json(root) +
               "; a .json file must hold an array of strings or of objects with "
               "\"text\" or \"input_ids\" (one object a line belongs in a .jsonl file)")
        .with_reason("BAD_CALIBRATION_DATA")
        .with_detail("file", path);
  }
  if (root.empty()) {
    return no_documents(path);
  }
  for (size_t i = 0; i < root.size(); ++i) {
    DocumentPlace place{path, "element", static_cast<int64_t>(i)};
    ROTOR_ASSIGN_OR_RETURN(Document document,
                           parse_document(std::move(place), std::move(root[i]), true, vocab_size));
    ROTOR_ASSIGN_OR_RETURN(const bool go_on, sink(std::move(document)));
    if (!go_on) {
      break;
    }
  }
  return {};
}

}  // namespace

std::string DocumentPlace::text() const {
  return name == "line" ? file + ":" + std::to_string(number)
                        : file + ": " + name + " " + std::to_string(number);
}

Status bad_document(const DocumentPlace& place, const std::string& message) {
  return invalid_argument(place.text() + ": " + message)
      .with_reason("BAD_CALIBRATION_DATA")
      .with_detail("file", place.file)
      .with_detail(place.name, std::to_string(place.number));
}

Status read_documents(FileSystem& fs, const std::string& path, int64_t vocab_size,
                      const std::function<Result<bool>(Document)>& sink) {
  return path.ends_with(".jsonl") ? read_lines(fs, path, vocab_size, sink)
                                  : read_array(fs, path, vocab_size, sink);
}

}  // namespace rotor
