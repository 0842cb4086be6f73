// The FP-Quant layout: formats.md section 2 has its table. Every quantized linear carries its own
// copy of the one Hadamard matrix, and its inputs are always quantized.
//
// Thread-safety: no state.
#pragma once

#include <string>
#include <vector>

#include "quant/checkpoint/layout.h"

namespace rotor {

class FpQuantLayout final : public CheckpointLayout {
 public:
  Layout kind() const override { return Layout::kFpQuant; }
  ModuleTable table(const QuantScheme& scheme) const override;
  std::string module_of_codes(const TensorSpec& tensor) const override;
  std::vector<RotationTensor> rotation_tensors(const QuantizationInfo& info) const override;
  /// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for what the layout cannot say:
  /// INT4, a16, modules that are not all rotated in the same blocks.
  Result<std::string> config_json(std::string_view source_config,
                                  const QuantizationInfo& info) const override;
};

}  // namespace rotor
