#include "ops/cli/override_option.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "proto/spec_fields.h"

namespace rotor::cli {
namespace {

using google::protobuf::FieldDescriptor;

std::string flag_of(const FieldDescriptor& field) {
  std::string name = field.name();
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// The keys are the fields of the message, but for its pattern.
std::string form() {
  std::string keys;
  const auto* type = v1::Override::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->name() != "pattern") {
      keys += (keys.empty() ? "" : ", ") + flag_of(*type->field(i));
    }
  }
  return "write PATTERN:key=value[,key=value] with the keys " + keys +
         ", such as '*.down_proj:method=gptq,damping=0.05'";
}

/// A key is a setting of the job, of the same name, and takes the same values.
Status set_key(const std::string& key, const std::string& value, v1::Override& result) {
  const auto* type = v1::Override::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->name() == "pattern" || flag_of(*field) != key) {
      continue;
    }
    ROTOR_RETURN_IF_ERROR(set_value(&result, *field, value));
    return check_value(result, *field, setting(field->name()));
  }
  return invalid_argument("no key '" + key + "'; " + form());
}

}  // namespace

Result<v1::Override> parse_override(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string::npos || colon + 1 == text.size()) {
    return invalid_argument("'" + text + "' is no override; " + form());
  }
  v1::Override result;
  result.set_pattern(text.substr(0, colon));
  for (const std::string& setting : CLI::detail::split(text.substr(colon + 1), ',')) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return invalid_argument("'" + setting + "' has no '='; " + form());
    }
    ROTOR_RETURN_IF_ERROR(set_key(setting.substr(0, equals), setting.substr(equals + 1), result));
  }
  return result;
}

}  // namespace rotor::cli
