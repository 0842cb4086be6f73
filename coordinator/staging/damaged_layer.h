// The error of a committed layer whose staged bytes are not what was committed (faults.md row 10).
#pragma once

#include <cstdint>
#include <string>

#include "quant/base/status.h"

namespace rotor::coordinator {

inline constexpr char kStagedLayerDamaged[] = "STAGED_LAYER_DAMAGED";

/// DATA_LOSS, STAGED_LAYER_DAMAGED, with detail "layer".
Status damaged_layer(int32_t layer, const std::string& what);

/// The error of reading a staged layer: damaged_layer(), unless it says nothing about the bytes
/// (out of descriptors or memory, an error of the disk that may pass).
Status damage_unless_passing(int32_t layer, const Status& status);

}  // namespace rotor::coordinator
