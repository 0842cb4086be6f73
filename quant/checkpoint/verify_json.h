// The JSON that `rotor verify -o json` prints and that independent readers compare with.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "quant/checkpoint/verify.h"

namespace rotor {

/// {"ok": bool, "quantized": bool, "layout": "compressed-tensors"|..., "format": "nvfp4"|...,
///  "activations": "a16"|"a4", "serving_modes": [text],
///  "problems": [{"tensor", "what", "remedy"}],
///  "modules": {name: {"digest": hex, "shape": [N, K], "rotation": block}},
///  "tensors": {name: hex}}; layout, format, activations and serving modes only where
///  quantized.
nlohmann::json verify_to_json(const VerifyReport& report);

}  // namespace rotor
