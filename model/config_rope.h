// The rotary embedding of a config.json: `rope_theta`, `rope_scaling` and `partial_rotary_factor`
// as transformers 4 writes them, `rope_parameters` as transformers 5 does, for the whole model or
// by layer type.
#pragma once

#include "model/config.h"
#include "model/families.h"
#include "model/json_object.h"

namespace rotor {

/// What YaRN makes of a scale of positions, 1 + 0.1 * weight * ln(scale), and 1 of scales up to 1
/// (arXiv 2309.00071, section 3.4; DeepSeek's configs weigh it, as `mscale` and `mscale_all_dim`).
double yarn_magnitude(double scale, double weight);

/// Fills in `rope` and `local_rope`; head_dim and max_position_embeddings are there already.
/// Errors: UNIMPLEMENTED with UNSUPPORTED_ROPE for a type that is not supported; INVALID_ARGUMENT
/// for numbers that are out of range, for factors of another count than there are frequencies, and
/// for a rotated part of a head that is odd or nothing.
Status parse_ropes(const JsonObject& object, const Family& family, ModelConfig& config);

}  // namespace rotor
