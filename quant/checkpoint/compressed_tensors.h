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
  std::vector<TensorSpec> tensor_specs(const QuantizedModule& module, const QuantScheme& scheme,
                                       Activations activations) const override;
  Result<std::vector<StoredTensor>> encode(const std::string& module, Activations activations,
                                           QuantizedMatrix&& matrix) const override;
  Result<QuantizedMatrix> decode_rows(const std::string& module, const QuantScheme& scheme,
                                      const TensorSource& source, int64_t first_row,
                                      int64_t rows) const override;
  Result<QuantizedModule> stored_shape(const std::string& module, const QuantScheme& scheme,
                                       const TensorSource& source) const override;
  std::string module_of_codes(const std::string& tensor_name) const override;
  std::vector<StoredTensor> rotation_tensors(const QuantizationInfo& info) const override;
  Result<std::string> config_json(std::string_view source_config,
                                  const QuantizationInfo& info) const override;
};

}  // namespace rotor
