#include "model/json_object.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/text.h"

namespace rotor {

using nlohmann::json;

std::string brief_json(const json& value) {
  // A container is named, not printed: dumping a large one to cut it afterwards would cost its
  // size.
  if (value.is_object()) {
    return "an object";
  }
  if (value.is_array()) {
    return "an array";
  }
  constexpr size_t kMost = 60;
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMost) {
    return "a string of " + std::to_string(value.get_ref<const std::string&>().size()) + " bytes";
  }
  return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

Result<JsonObject> JsonObject::make(const json& value, std::string file, std::string where,
                                    std::string reason) {
  JsonObject object;
  object.value_ = &value;
  object.file_ = std::move(file);
  object.where_ = std::move(where);
  object.reason_ = std::move(reason);
  if (!value.is_object()) {
    const std::string what = object.where_.empty() ? "the file" : "key \"" + object.where_ + "\"";
    return invalid_argument(object.file_ + ": " + what + " is " + brief_json(value) +
                            "; it must be a JSON object")
        .with_reason(object.reason_)
        .with_detail("file", object.file_)
        .with_detail("key", object.where_);
  }
  return object;
}

const json* JsonObject::find(const std::string& key) const {
  const auto it = value_->find(key);
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonObject::contains(const std::string& key) const {
  return value_->contains(key);
}

std::string JsonObject::full_key(const std::string& key) const {
  // Most keys are names; what else a file may hold is quoted.
  std::string shown = printable(key);
  if (shown.size() == key.size() + 2) {
    shown = key;
  }
  return where_.empty() ? shown : where_ + "." + shown;
}

Status JsonObject::error(const std::string& key, const std::string& expected) const {
  const json* found = find(key);
  return invalid_argument(file_ + ": key \"" + full_key(key) + "\" is " +
                          (found == nullptr ? "missing" : brief_json(*found)) + "; " + expected)
      .with_reason(reason_)
      .with_detail("file", file_)
      .with_detail("key", full_key(key));
}

Status JsonObject::unsupported(const std::string& key, const std::string& supported,
                               std::string reason) const {
  return unimplemented(error(key, supported).message())
      .with_reason(std::move(reason))
      .with_detail("file", file_)
      .with_detail("key", full_key(key));
}

Result<int64_t> JsonObject::integer(const std::string& key, int64_t least, int64_t most) const {
  const json* found = find(key);
  const bool fits =
      found != nullptr && found->is_number_integer() &&
      !(found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
  if (!fits || found->get<int64_t>() < least || found->get<int64_t>() > most) {
    return error(
        key, "it must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return found->get<int64_t>();
}

Result<double> JsonObject::positive_number(const std::string& key) const {
  const json* found = find(key);
  if (found == nullptr || !found->is_number() || !std::isfinite(found->get<double>()) ||
      found->get<double>() <= 0.0) {
    return error(key, "it must be a number greater than 0");
  }
  return found->get<double>();
}

Result<std::string> JsonObject::string(const std::string& key) const {
  const json* found = find(key);
  if (found == nullptr || !found->is_string()) {
    return error(key, "it must be a string");
  }
  return found->get<std::string>();
}

Result<JsonObject> JsonObject::object(const std::string& key) const {
  const json* found = find(key);
  if (found == nullptr) {
    return error(key, "it must be a JSON object");
  }
  return make(*found, file_, full_key(key), reason_);
}

Result<std::vector<const json*>> JsonObject::array(const std::string& key) const {
  const json* found = find(key);
  if (found == nullptr || !found->is_array()) {
    return error(key, "it must be an array");
  }
  std::vector<const json*> elements;
  elements.reserve(found->size());
  for (const json& element : *found) {
    elements.push_back(&element);
  }
  return elements;
}

Result<int64_t> JsonObject::integer_or(const std::string& key, int64_t fallback, int64_t least,
                                       int64_t most) const {
  return has(key) ? integer(key, least, most) : Result<int64_t>(fallback);
}

Result<double> JsonObject::positive_number_or(const std::string& key, double fallback) const {
  return has(key) ? positive_number(key) : Result<double>(fallback);
}

Result<bool> JsonObject::boolean_or(const std::string& key, bool fallback) const {
  const json* found = find(key);
  if (found == nullptr) {
    return fallback;
  }
  if (!found->is_boolean()) {
    return error(key, "it must be true or false");
  }
  return found->get<bool>();
}

Result<std::string> JsonObject::string_or(const std::string& key, std::string fallback) const {
  return has(key) ? string(key) : Result<std::string>(std::move(fallback));
}

}  // namespace rotor
