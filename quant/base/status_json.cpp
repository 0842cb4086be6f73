#include "quant/base/status_json.h"

#include <nlohmann/json.hpp>
#include <string>

namespace rotor {
namespace {

std::string text_at(const nlohmann::ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

nlohmann::ordered_json error_json(const Status& status) {
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
  for (const auto& [key, value] : status.details()) {
    details[key] = value;
  }
  return {{"code", code_name(status.code())},
          {"reason", status.reason()},
          {"message", status.message()},
          {"details", details}};
}

Status error_from_json(const nlohmann::ordered_json& error) {
  if (!error.is_object()) {
    return {};
  }
  const std::string name = text_at(error, "code");
  auto code = static_cast<int>(Code::kUnauthenticated);
  while (code > 0 && code_name(static_cast<Code>(code)) != name) {
    --code;
  }
  if (code == 0) {
    return {};
  }
  Status status = Status(static_cast<Code>(code), text_at(error, "message"))
                      .with_reason(text_at(error, "reason"));
  const auto details = error.find("details");
  if (details != error.end() && details->is_object()) {
    for (const auto& [key, value] : details->items()) {
      if (value.is_string()) {
        status = std::move(status).with_detail(key, value.get<std::string>());
      }
    }
  }
  return status;
}

}  // namespace rotor
