// The fields of a JobSpec by their settings (model/settings.h), read and written as text.
//
// Thread-safety: plain functions. A path that is no field of the API ends the process: a row of the
// table is wrong, and the unit tests look at every row.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "model/settings.h"
#include "rotor/v1/job.pb.h"

namespace rotor {

const google::protobuf::FieldDescriptor& spec_field(const Setting& setting);

/// Whether the spec says it: a field with presence is set, another is not 0, a list is not empty.
bool is_given(const v1::JobSpec& spec, const Setting& setting);

/// The value of a field that is neither a list nor a message, whether given or not; "" for an
/// enum's UNSPECIFIED and for a number that this version does not know.
std::string field_text(const v1::JobSpec& spec, const Setting& setting);

/// From text; a list grows by one. INVALID_ARGUMENT (BAD_SPEC), naming the values where they are
/// few, for what is no value of the field's type. Ranges are not looked at.
Status set_field(v1::JobSpec* spec, const Setting& setting, std::string_view text);

/// That what is given is a value that this version knows and lies in its setting's range.
/// INVALID_ARGUMENT (BAD_SPEC).
Status check_field(const v1::JobSpec& spec, const Setting& setting);

/// The same of one field of any message: of a JobSpec, or of an Override, whose fields are named as
/// the settings that they replace.
Status set_value(google::protobuf::Message* message, const google::protobuf::FieldDescriptor& field,
                 std::string_view text);
Status check_value(const google::protobuf::Message& message,
                   const google::protobuf::FieldDescriptor& field, const Setting& setting);

/// The names of an enum's values, "on" and "off" of a bool; else empty.
std::vector<std::string> value_choices(const google::protobuf::FieldDescriptor& field);

}  // namespace rotor
