#include "worker/pipeline/result_text.h"

#include <nlohmann/json.hpp>

namespace rotor::worker {

using nlohmann::json;

std::string serialize_results(const std::vector<ModuleResult>& results) {
  json list = json::array();
  for (const ModuleResult& result : results) {
    json notes = json::array();
    for (const FallbackNote& note : result.fallbacks) {
      notes.push_back({note.kind, note.detail});
    }
    list.push_back({result.name, result.relative_error, result.rtn_relative_error, result.damping,
                    result.rotation, static_cast<int>(result.method), result.tokens, notes});
  }
  return list.dump();
}

std::vector<ModuleResult> parse_results(const std::string& text) {
  std::vector<ModuleResult> results;
  for (const json& entry : json::parse(text)) {
    ModuleResult result;
    result.name = entry[0];
    result.relative_error = entry[1];
    result.rtn_relative_error = entry[2];
    result.damping = entry[3];
    result.rotation = entry[4];
    result.method = static_cast<Method>(entry[5].get<int>());
    result.tokens = entry[6];
    for (const json& note : entry[7]) {
      result.fallbacks.push_back({note[0], note[1]});
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace rotor::worker
