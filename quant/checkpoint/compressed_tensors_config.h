// `quantization_config` of the compressed-tensors layout (formats.md section 1).
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "quant/base/status.h"
#include "quant/checkpoint/quantization_info.h"

namespace rotor {

/// Errors: INVALID_ARGUMENT for INT4 with quantized activations, which no engine runs.
Result<nlohmann::ordered_json> compressed_tensors_config(const QuantizationInfo& info);

/// `config` is the object under `quantization_config` in the file `path`; `model_dtype` becomes the
/// scale dtype of INT4. Errors: INVALID_ARGUMENT, reason BAD_CONFIG, naming file, key and value.
Result<StoredQuantization> parse_compressed_tensors_config(const nlohmann::json& config,
                                                           DType model_dtype,
                                                           const std::string& path);

}  // namespace rotor
