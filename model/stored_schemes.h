// Reading what a `quantization_config` says of weights that stand beside their scales
// (model/scaled_weights.h). What it says of inputs, outputs and caches changes no weight and is not
// asked for, and neither are lists of modules: the tensors tell.
//
// Thread-safety: pure functions. Errors: those of `object`, for keys that are out of range and for
// what is not read: other codes, zero points, weights in a rotated basis.
#pragma once

#include "model/json_object.h"
#include "model/stored_form.h"

namespace rotor {

/// quant_method "fp8": a scale for each of `weight_block_size`, or without it for each matrix or
/// for each of its rows.
Result<SourceQuantization> parse_fp8_schemes(const JsonObject& object);

/// quant_method "compressed-tensors": every group of `config_groups`.
Result<SourceQuantization> parse_compressed_schemes(const JsonObject& object);

}  // namespace rotor
