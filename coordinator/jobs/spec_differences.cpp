#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include "coordinator/jobs/validate.h"

namespace rotor::coordinator {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

/// The value of a field, or of all its elements; "unset" where it has none.
std::string field_text(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  std::string text;
  if (!field->is_repeated()) {
    if (field->has_presence() && !reflection->HasField(message, field)) {
      return "unset";
    }
    TextFormat::PrintFieldValueToString(message, field, -1, &text);
    return text;
  }
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    std::string element;
    TextFormat::PrintFieldValueToString(message, field, i, &element);
    text += (i == 0 ? "" : ", ") + element;
  }
  return "[" + text + "]";
}

void compare(const std::string& prefix, const Message& before, const Message& now,
             std::vector<std::string>* differences) {
  const auto* descriptor = before.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const std::string name = prefix + field->name();
    if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      compare(name + ".", before.GetReflection()->GetMessage(before, field),
              now.GetReflection()->GetMessage(now, field), differences);
      continue;
    }
    const std::string old_text = field_text(before, field);
    const std::string new_text = field_text(now, field);
    if (old_text != new_text) {
      differences->push_back(name + ": " + old_text + " -> " + new_text);
    }
  }
}

}  // namespace

std::vector<std::string> spec_differences(const v1::JobSpec& before, const v1::JobSpec& now) {
  std::vector<std::string> differences;
  compare("", before, now, &differences);
  return differences;
}

}  // namespace rotor::coordinator
