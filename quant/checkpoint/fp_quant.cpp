#include "quant/checkpoint/fp_quant.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "quant/checkpoint/fp_quant_config.h"
#include "quant/checkpoint/rotation_groups.h"

namespace rotor {
namespace {

constexpr std::string_view kCodes = ".qweight";

}  // namespace

ModuleTable FpQuantLayout::table(const QuantScheme& /*scheme*/) const {
  ModuleTable table;
  table.codes = kCodes;
  table.scales = ".scales";
  table.scales_dtype = DType::kU8;  // the bits of E4M3, too
  table.global_scale = ".weight_global_scale";
  table.input_global_scale = ".act_global_scale";
  return table;
}

std::string FpQuantLayout::module_of_codes(const TensorSpec& tensor) const {
  return module_with_suffix(tensor.name, kCodes);
}

std::vector<RotationTensor> FpQuantLayout::rotation_tensors(const QuantizationInfo& info) const {
  std::vector<RotationTensor> tensors;
  for (const QuantizedModule& module : info.modules) {
    const StoredRotation rotation = fp_quant_rotation(module.rotation);
    tensors.push_back({module.name, rotation_matrix(rotation, module.name + rotation.suffix())});
  }
  return tensors;
}

Result<std::string> FpQuantLayout::config_json(std::string_view source_config,
                                               const QuantizationInfo& info) const {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json quantization, fp_quant_config(info));
  return add_quantization_config(source_config, std::move(quantization));
}

}  // namespace rotor
