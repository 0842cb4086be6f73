#include "proto/json.h"

#include <google/protobuf/util/time_util.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "proto/enum_names.h"
#include "proto/spec_fields.h"
#include "quant/base/status.h"

namespace rotor {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

Json any_message_json(const Message& message) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    return time_text(dynamic_cast<const google::protobuf::Timestamp&>(message));
  }
  if (message.GetDescriptor() == v1::Cause::descriptor()) {
    return cause_json(dynamic_cast<const v1::Cause&>(message));
  }
  return message_json(message);
}

/// JSON has no Infinity and no NaN, and null would say that there is no value.
Json number_json(double value) {
  if (std::isfinite(value)) {
    return value;
  }
  return std::isnan(value) ? "NaN" : value > 0.0 ? "Infinity" : "-Infinity";
}

Json value_json(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_json(reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->GetFloat(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_name(*field->enum_type(), reflection->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return any_message_json(reflection->GetMessage(message, field));
  }
  return {};
}

/// Lists of the API are of strings or of messages.
Json list_json(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  Json list = Json::array();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      list.push_back(reflection->GetRepeatedString(message, field, i));
    } else {
      list.push_back(any_message_json(reflection->GetRepeatedMessage(message, field, i)));
    }
  }
  return list;
}

Json field_json(const Message& message, const FieldDescriptor* field) {
  return field->is_repeated() ? list_json(message, field) : value_json(message, field);
}

/// The message that holds a setting's field, and the name of the way to it ("" for the spec).
std::pair<const Message*, std::string> holder(const v1::JobSpec& spec, const Setting& setting) {
  const size_t dot = setting.path.find('.');
  if (dot == std::string_view::npos) {
    return {&spec, ""};
  }
  const std::string name(setting.path.substr(0, dot));
  const FieldDescriptor* field = v1::JobSpec::descriptor()->FindFieldByName(name);
  return {&spec.GetReflection()->GetMessage(spec, field), name};
}

}  // namespace

std::string time_text(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) {
    return "";
  }
  google::protobuf::Timestamp whole;
  whole.set_seconds(time.seconds());
  return google::protobuf::util::TimeUtil::ToString(whole);
}

Json cause_json(const v1::Cause& cause) {
  Json details = Json::object();
  for (const auto& [key, value] :
       std::map<std::string, std::string>(cause.details().begin(), cause.details().end())) {
    details[key] = value;
  }
  return {{"code", code_name(static_cast<Code>(cause.code()))},
          {"reason", cause.reason()},
          {"message", cause.message()},
          {"details", details}};
}

Json message_json(const Message& message) {
  Json json = Json::object();
  const auto* reflection = message.GetReflection();
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const bool absent = !field->is_repeated() && !reflection->HasField(message, field) &&
                        (field->has_presence() || field->enum_type() != nullptr);
    if (!absent) {
      json[field->name()] = field_json(message, field);
    }
  }
  return json;
}

Json spec_json(const v1::JobSpec& spec) {
  Json json = {{"model", spec.model()}, {"output", spec.output()}};
  for (const Setting& setting : settings()) {
    const auto [parent, name] = holder(spec, setting);
    const bool nested = name == "calibration" || name == "evaluation";
    if (name != "evaluation" || spec.has_evaluation()) {
      const FieldDescriptor& field = spec_field(setting);
      (nested ? json[name] : json)[field.name()] = field_json(*parent, &field);
    }
  }
  return json;
}

Json byte_settings_json(const v1::JobSpec& spec) {
  Json json = Json::object();
  for (const Setting& setting : settings()) {
    if (setting.decides_bytes) {
      const Message* parent = holder(spec, setting).first;
      json[std::string(setting.key)] = field_json(*parent, &spec_field(setting));
    }
  }
  return json;
}

}  // namespace rotor
