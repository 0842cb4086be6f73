#include "proto/spec_fields.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "proto/enum_names.h"

namespace rotor {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

/// The messages on the way to a field, and the field.
struct Place {
  std::vector<const FieldDescriptor*> parents;
  const FieldDescriptor* field = nullptr;
};

Place find(std::string_view path) {
  Place place;
  const auto* type = v1::JobSpec::descriptor();
  for (;;) {
    const size_t dot = path.find('.');
    const FieldDescriptor* field = type->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) {
      std::abort();
    }
    if (dot == std::string_view::npos) {
      place.field = field;
      return place;
    }
    place.parents.push_back(field);
    type = field->message_type();
    path.remove_prefix(dot + 1);
  }
}

const Message& parent_of(const v1::JobSpec& spec, const Place& place) {
  const Message* message = &spec;
  for (const FieldDescriptor* field : place.parents) {
    message = &message->GetReflection()->GetMessage(*message, field);
  }
  return *message;
}

template <typename Number>
Status parse(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (error == std::errc::result_out_of_range) {
    return invalid_argument("'" + std::string(text) + "' is too large");
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return invalid_argument("'" + std::string(text) + "' is not a " +
                            (std::is_floating_point_v<Number> ? "number" : "whole number") +
                            (std::is_unsigned_v<Number> ? " of 0 or more" : ""));
  }
  return {};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : "|") + name;
  }
  return text;
}

/// A number of any type; ranges are of doubles, which hold every limit of the table exactly.
double number_of(const Message& message, const FieldDescriptor& field) {
  const auto* reflection = message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(reflection->GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(reflection->GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->GetDouble(message, &field);
    default:
      return 0.0;
  }
}

}  // namespace

const FieldDescriptor& spec_field(const Setting& setting) {
  return *find(setting.path).field;
}

bool is_given(const v1::JobSpec& spec, const Setting& setting) {
  const Place place = find(setting.path);
  const Message& parent = parent_of(spec, place);
  const auto* reflection = parent.GetReflection();
  // Without presence this is false for what the type begins with.
  return place.field->is_repeated() ? reflection->FieldSize(parent, place.field) > 0
                                    : reflection->HasField(parent, place.field);
}

std::string field_text(const v1::JobSpec& spec, const Setting& setting) {
  const Place place = find(setting.path);
  const Message& parent = parent_of(spec, place);
  const auto* reflection = parent.GetReflection();
  switch (place.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection->GetInt32(parent, place.field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection->GetInt64(parent, place.field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection->GetUInt64(parent, place.field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_text(reflection->GetDouble(parent, place.field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(parent, place.field) ? "on" : "off";
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_name(*place.field->enum_type(), reflection->GetEnumValue(parent, place.field));
    default:
      return "";
  }
}

Status set_field(v1::JobSpec* spec, const Setting& setting, std::string_view text) {
  const Place place = find(setting.path);
  Message* parent = spec;
  for (const FieldDescriptor* field : place.parents) {
    parent = parent->GetReflection()->MutableMessage(parent, field);
  }
  const Status status = set_value(parent, *place.field, text);
  return status.ok() ? status : bad_setting(setting.path, status.message());
}

Status set_value(Message* message, const FieldDescriptor& field, std::string_view text) {
  const auto* reflection = message->GetReflection();
  if (field.is_repeated()) {
    reflection->AddString(message, &field, std::string(text));
    return {};
  }
  const auto number = [&](auto value, auto set) -> Status {
    ROTOR_RETURN_IF_ERROR(parse(text, &value));
    (reflection->*set)(message, &field, value);
    return {};
  };
  using google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return number(int32_t{}, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return number(int64_t{}, &Reflection::SetInt64);
    case FieldDescriptor::CPPTYPE_UINT64:
      return number(uint64_t{}, &Reflection::SetUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number(double{}, &Reflection::SetDouble);
    default:
      break;
  }
  const std::vector<std::string> choices = value_choices(field);
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    return invalid_argument("'" + std::string(text) + "' is not one of " + joined(choices));
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    reflection->SetBool(message, &field, text == "on");
  } else {
    reflection->SetEnumValue(message, &field, enum_number(*field.enum_type(), text));
  }
  return {};
}

Status check_value(const Message& message, const FieldDescriptor& field, const Setting& setting) {
  if (field.is_repeated() || !message.GetReflection()->HasField(message, &field)) {
    return {};
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = message.GetReflection()->GetEnumValue(message, &field);
      return enum_name(*field.enum_type(), number).empty()
                 ? bad_setting(setting.path, "unknown value " + std::to_string(number) +
                                                 "; this coordinator may be older than the client")
                 : Status();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return {};
    default:
      return check_range(setting, number_of(message, field));
  }
}

Status check_field(const v1::JobSpec& spec, const Setting& setting) {
  const Place place = find(setting.path);
  return check_value(parent_of(spec, place), *place.field, setting);
}

std::vector<std::string> value_choices(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_names(*field.enum_type());
    case FieldDescriptor::CPPTYPE_BOOL:
      return {"on", "off"};
    default:
      return {};
  }
}

}  // namespace rotor
