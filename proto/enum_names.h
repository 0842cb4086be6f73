// The values of the API's enums as people and scripts read them. Thread-safety: plain functions.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

#include <string>
#include <string_view>
#include <vector>

#include "rotor/v1/job.pb.h"

namespace rotor {

/// As the command line writes it ("nvfp4", "mr-gptq", "stage"): the value's name in lower case
/// without the enum's prefix, '_' as '-'. UNSPECIFIED and numbers that this version does not know
/// give "". Job states are written in capitals: "RUNNING".
std::string enum_name(const google::protobuf::EnumDescriptor& type, int number);

/// Every name but that of UNSPECIFIED, in the order of the API.
std::vector<std::string> enum_names(const google::protobuf::EnumDescriptor& type);

/// The number of a name; 0 where it has none.
int enum_number(const google::protobuf::EnumDescriptor& type, std::string_view name);

template <typename E>
std::string cli_name(E value) {
  return enum_name(*google::protobuf::GetEnumDescriptor<E>(), static_cast<int>(value));
}

/// "RUNNING" and so on; "UNSPECIFIED" for what this version does not know.
std::string state_name(v1::JobState value);

}  // namespace rotor
