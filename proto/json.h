// Messages of rotor.v1 as JSON, by walking their fields: a field that is added to the API shows by
// itself. Keys are part of the contract of the command line and of the record beside a checkpoint:
// they are added to, never renamed.
//
// Thread-safety: plain functions.
#pragma once

#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rotor/v1/job.pb.h"

namespace rotor {

using Json = nlohmann::ordered_json;

/// An object with a key for each field, under its name in the API. Numbers are numbers, enums the
/// names of proto/enum_names.h, times "2026-01-31T12:00:00Z" (empty where not set), causes as
/// cause_json. Left out are: fields with presence that are not set, and enums that are UNSPECIFIED.
Json message_json(const google::protobuf::Message& message);

/// code (its name), reason, message, details.
Json cause_json(const v1::Cause& cause);

/// Every setting of a job and its paths. Calibration and evaluation (where there is one) are
/// objects of their own.
Json spec_json(const v1::JobSpec& spec);

/// What decides the bytes of a checkpoint, by the settings' keys.
Json byte_settings_json(const v1::JobSpec& spec);

/// "2026-01-31T12:00:00Z"; empty for a time that is not set.
std::string time_text(const google::protobuf::Timestamp& time);

}  // namespace rotor
