// What the ModelOpt layout says of itself (formats.md section 3): `quantization_config` of
// config.json, and hf_quant_config.json, which engines look for first.
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"

namespace rotor {

/// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for what the layout's limits
/// (layout_limits.h) do not allow.
Result<nlohmann::ordered_json> modelopt_config(const QuantizationInfo& info);

/// The whole of hf_quant_config.json.
nlohmann::ordered_json hf_quant_config(const QuantizationInfo& info);

/// `config` is the object under `quantization_config` in the file `path`. Errors: INVALID_ARGUMENT,
/// reason BAD_CONFIG, naming file, key and value for every difference from what is written.
Result<StoredQuantization> parse_modelopt_config(const nlohmann::json& config,
                                                 const std::string& path);

/// Whether hf_quant_config.json says what config.json does. Errors: as above.
Status check_hf_quant_config(const std::string& text, const std::string& path,
                             const StoredQuantization& quantization);

}  // namespace rotor
