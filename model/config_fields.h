// Fields of a config.json that change what a model computes, whatever its family, and that no
// reader reads: each is refused unless its value changes nothing.
//
// What the transformers library makes of every field of every family is measured, and kept in
// tests/data/configs/fields.json; a test holds the readers against it. So a field is read by a
// family's reader, is refused here, or was seen to change nothing.
//
// Thread-safety: a pure function.
#pragma once

#include "model/json_object.h"

namespace rotor {

/// Errors: UNIMPLEMENTED, reason UNSUPPORTED_ATTENTION or UNSUPPORTED_CONFIG, naming the key.
Status check_config_fields(const JsonObject& config);

}  // namespace rotor
