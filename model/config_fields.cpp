#include "model/config_fields.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>

namespace rotor {
namespace {

struct RefusedField {
  const char* key;
  const char* neutral;  // JSON: the value that changes nothing, as a missing key does
  const char* supported;
  const char* reason;
};

constexpr std::array kRefused = {
    RefusedField{"is_causal", "true", "only causal attention is supported",
                 "UNSUPPORTED_ATTENTION"},
    RefusedField{"use_bidirectional_attention", "false", "only causal attention is supported",
                 "UNSUPPORTED_ATTENTION"},
    RefusedField{"per_layer_config", "{}",
                 "supported are models whose layers all follow the config's own keys",
                 "UNSUPPORTED_CONFIG"},
};

}  // namespace

Status check_config_fields(const JsonObject& config) {
  for (const RefusedField& field : kRefused) {
    const nlohmann::json* found = config.find(field.key);
    if (found != nullptr && *found != nlohmann::json::parse(field.neutral)) {
      return config.unsupported(field.key, field.supported, field.reason);
    }
  }
  return {};
}

}  // namespace rotor
