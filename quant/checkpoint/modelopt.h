// The NVIDIA ModelOpt layout, NVFP4: formats.md section 3. It has no field for online rotations.
//
// Thread-safety: no state.
#pragma once

#include <string>
#include <vector>

#include "quant/checkpoint/layout.h"

namespace rotor {

class ModelOptLayout final : public CheckpointLayout {
 public:
  Layout kind() const override { return Layout::kModelOpt; }
  ModuleTable table(const QuantScheme& scheme) const override;
  /// The codes keep the weight's name: its dtype tells them from a weight that is not quantized.
  std::string module_of_codes(const TensorSpec& tensor) const override;
  std::vector<RotationTensor> rotation_tensors(const QuantizationInfo& info) const override;
  /// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for what the layout cannot say:
  /// formats other than NVFP4, rotated modules.
  Result<std::string> config_json(std::string_view source_config,
                                  const QuantizationInfo& info) const override;
  Result<std::vector<TextFile>> other_files(const QuantizationInfo& info) const override;
  Status check_other_files(FileSystem& fs, const std::string& directory,
                           const StoredQuantization& quantization) const override;
};

}  // namespace rotor
