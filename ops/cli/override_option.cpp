#include "ops/cli/override_option.h"

#include <CLI/CLI.hpp>

#include "ops/cli/enum_option.h"

namespace rotor::cli {
namespace {

constexpr char kForm[] =
    "write PATTERN:key=value[,key=value] with the keys method, scale-search, act-order (on|off) "
    "and "
    "damping, such as '*.down_proj:method=gptq,damping=0.05'";

Status set_key(const std::string& key, const std::string& value, v1::Override& result) {
  if (key == "method") {
    ROTOR_ASSIGN_OR_RETURN(const v1::Method method, parse_enum<v1::Method>(value));
    result.set_method(method);
  } else if (key == "scale-search") {
    ROTOR_ASSIGN_OR_RETURN(const v1::ScaleSearch search, parse_enum<v1::ScaleSearch>(value));
    result.set_scale_search(search);
  } else if (key == "act-order") {
    if (value != "on" && value != "off") {
      return invalid_argument("act-order is 'on' or 'off', not '" + value + "'");
    }
    result.set_act_order(value == "on");
  } else if (key == "damping") {
    double damping = 0;
    if (!CLI::detail::lexical_cast(value, damping)) {
      return invalid_argument("damping is a number, not '" + value + "'");
    }
    result.set_damping(damping);
  } else {
    return invalid_argument("no key '" + key + "'; " + kForm);
  }
  return {};
}

}  // namespace

Result<v1::Override> parse_override(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string::npos || colon + 1 == text.size()) {
    return invalid_argument("'" + text + "' is no override; " + kForm);
  }
  v1::Override result;
  result.set_pattern(text.substr(0, colon));
  for (const std::string& setting : CLI::detail::split(text.substr(colon + 1), ',')) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return invalid_argument("'" + setting + "' has no '='; " + kForm);
    }
    ROTOR_RETURN_IF_ERROR(set_key(setting.substr(0, equals), setting.substr(equals + 1), result));
  }
  return result;
}

}  // namespace rotor::cli
