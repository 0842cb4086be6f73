// Options whose values are an enum of the API: the names come from proto/convert.h, so a value that
// is added to the API appears on the command line and in --help by itself. Thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "proto/convert.h"
#include "quant/base/status.h"

namespace rotor::cli {

/// Every value but UNSPECIFIED, in the order of the API.
template <typename E>
std::vector<E> enum_values() {
  const google::protobuf::EnumDescriptor* descriptor = google::protobuf::GetEnumDescriptor<E>();
  std::vector<E> values;
  for (int i = 0; i < descriptor->value_count(); ++i) {
    if (descriptor->value(i)->number() != 0) {
      values.push_back(static_cast<E>(descriptor->value(i)->number()));
    }
  }
  return values;
}

/// "nvfp4|mxfp4|int4"
template <typename E>
std::string enum_choices() {
  std::string choices;
  for (const E value : enum_values<E>()) {
    choices += (choices.empty() ? "" : "|") + cli_name(value);
  }
  return choices;
}

/// INVALID_ARGUMENT naming the value and the choices.
template <typename E>
Result<E> parse_enum(const std::string& text) {
  for (const E value : enum_values<E>()) {
    if (cli_name(value) == text) {
      return value;
    }
  }
  return invalid_argument("'" + text + "' is not one of " + enum_choices<E>());
}

}  // namespace rotor::cli
