#include "worker/pipeline/result_text.h"

#include <nlohmann/json.hpp>

#include "worker/pipeline/result_fields.h"

namespace rotor {
namespace {

using Json = nlohmann::ordered_json;

Json to_value(const std::vector<FallbackNote>& notes) {
  Json list = Json::array();
  for (const FallbackNote& note : notes) {
    list.push_back({{"kind", note.kind}, {"detail", note.detail}});
  }
  return list;
}

Json to_value(Method method) {
  return std::string(to_string(method));
}

template <typename T>
Json to_value(const T& value) {
  return value;
}

void from_value(const Json& json, std::vector<FallbackNote>* notes) {
  for (const Json& note : json) {
    notes->push_back({note.at("kind"), note.at("detail")});
  }
}

void from_value(const Json& json, Method* method) {
  for (const Method value : {Method::kRtn, Method::kGptq, Method::kMrGptq}) {
    if (json == to_string(value)) {
      *method = value;
    }
  }
}

template <typename T>
void from_value(const Json& json, T* value) {
  json.get_to(*value);
}

}  // namespace

namespace worker {

Json result_json(const ModuleResult& result) {
  Json json;
  each_field(result, [&](const char* name, const auto& value) { json[name] = to_value(value); });
  return json;
}

std::string serialize_results(const std::vector<ModuleResult>& results) {
  Json list = Json::array();
  for (const ModuleResult& result : results) {
    list.push_back(result_json(result));
  }
  return list.dump();
}

std::vector<ModuleResult> parse_results(const std::string& text) {
  std::vector<ModuleResult> results;
  for (const Json& json : Json::parse(text)) {
    ModuleResult& result = results.emplace_back();
    each_field(result, [&](const char* name, auto& value) { from_value(json.at(name), &value); });
  }
  return results;
}

}  // namespace worker
}  // namespace rotor
