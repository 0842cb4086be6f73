// The compressed-tensors layout: formats.md section 1 has its tables. Config and rotation have
// their own files: compressed_tensors_config.h, rotation_groups.h.
//
// Thread-safety: no state.
#pragma once

#include <string>
#include <vector>

#include "quant/checkpoint/layout.h"

namespace rotor {

class CompressedTensorsLayout final : public CheckpointLayout {
 public:
  Layout kind() const override { return Layout::kCompressedTensors; }
  ModuleTable table(const QuantScheme& scheme) const override;
  std::string module_of_codes(const TensorSpec& tensor) const override;
  std::vector<RotationTensor> rotation_tensors(const QuantizationInfo& info) const override;
  Result<std::string> config_json(std::string_view source_config,
                                  const QuantizationInfo& info) const override;
};

}  // namespace rotor
