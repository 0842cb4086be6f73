// The layout that gpt-oss is published in (`quant_method` "mxfp4"): the experts of every layer in
// MXFP4, all of a layer in one tensor, and nothing else quantized. formats.md section 5.
//
//   STACK_blocks  U8 [E, R L, K/32, 16]  codes, two a byte
//   STACK_scales  U8 [E, R L, K/32]      biased exponents
//   STACK_bias    [E, R L]               in the source's dtype
//
// with E experts, K inputs, and R outputs of each of the L linears that share an input; their rows
// take turns. A module's own tensors, which workers make, are NAME_blocks [R, K/2] and
// NAME_scales [R, K/32]; what a reader finds as a module is a whole stack, [E R L, K].
//
// Thread-safety: no state.
#pragma once

#include <string>
#include <vector>

#include "quant/checkpoint/layout.h"

namespace rotor {

class GptOssLayout final : public CheckpointLayout {
 public:
  Layout kind() const override { return Layout::kGptOss; }
  ModuleTable table(const QuantScheme& scheme) const override;
  std::string module_of_codes(const TensorSpec& tensor) const override;
  std::vector<RotationTensor> rotation_tensors(const QuantizationInfo& info) const override;
  std::vector<StackedTensor> stacked_tensors(const QuantizationInfo& info) const override;
  /// Errors: INVALID_ARGUMENT, reason UNSUPPORTED_COMBINATION, for what the layout cannot say.
  Result<std::string> config_json(std::string_view source_config,
                                  const QuantizationInfo& info) const override;
  Result<QuantizedMatrix> decode_rows(const std::string& module, const QuantScheme& scheme,
                                      const TensorSource& source, int64_t first_row,
                                      int64_t rows) const override;
  Result<QuantizedModule> stored_shape(const std::string& module, const QuantScheme& scheme,
                                       const TensorSource& source) const override;
};

/// `config` is the object under `quantization_config` in the file `path`. Errors: INVALID_ARGUMENT,
/// reason BAD_CONFIG, naming file, key and value.
Result<StoredQuantization> parse_gpt_oss_config(const nlohmann::json& config,
                                                const std::string& path);

}  // namespace rotor
