// The rotary embedding of a config.json: `rope_theta`, `rope_scaling` and `partial_rotary_factor`
// as transformers 4 writes them, `rope_parameters` as transformers 5 does, for the whole model or
// by layer type.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// Fills in `rope` and `local_rope`; head_dim and max_position_embeddings are there already.
/// Errors: UNIMPLEMENTED with UNSUPPORTED_ROPE for a type that is not supported; INVALID_ARGUMENT
/// for numbers that are out of range, for factors of another count than there are frequencies, and
/// for a rotated part of a head that is odd or nothing.
Status parse_ropes(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
