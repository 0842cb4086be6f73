// `quantization_config` of the FP-Quant layout (formats.md section 2).
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"

namespace rotor {

/// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for what the layout's limits
/// (layout_limits.h) do not allow, and for modules that are not all rotated in the same blocks.
Result<nlohmann::ordered_json> fp_quant_config(const QuantizationInfo& info);

/// `config` is the object under `quantization_config` in the file `path`. Errors: INVALID_ARGUMENT,
/// reason BAD_CONFIG, naming file, key and value for every difference from what is written.
Result<StoredQuantization> parse_fp_quant_config(const nlohmann::json& config,
                                                 const std::string& path);

/// The one rotation of such a checkpoint, on every quantized linear.
StoredRotation fp_quant_rotation(int block);

}  // namespace rotor
