#include "proto/enum_names.h"

#include <algorithm>
#include <cctype>

namespace rotor {
namespace {

constexpr std::string_view kUnspecified = "UNSPECIFIED";

}  // namespace

std::string enum_name(const google::protobuf::EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr || number == 0) {
    return "";
  }
  // Every enum begins with PREFIX_UNSPECIFIED.
  const size_t prefix = type.FindValueByNumber(0)->name().size() - kUnspecified.size();
  std::string text = value->name().substr(prefix);
  if (&type != v1::JobState_descriptor()) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  }
  return text;
}

std::vector<std::string> enum_names(const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) {
      names.push_back(enum_name(type, type.value(i)->number()));
    }
  }
  return names;
}

int enum_number(const google::protobuf::EnumDescriptor& type, std::string_view name) {
  for (int i = 0; i < type.value_count(); ++i) {
    const int number = type.value(i)->number();
    if (number != 0 && enum_name(type, number) == name) {
      return number;
    }
  }
  return 0;
}

std::string state_name(v1::JobState value) {
  const std::string name = cli_name(value);
  return name.empty() ? std::string(kUnspecified) : name;
}

}  // namespace rotor
