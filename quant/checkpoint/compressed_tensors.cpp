#include "quant/checkpoint/compressed_tensors.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "quant/checkpoint/compressed_tensors_config.h"
#include "quant/checkpoint/rotation_groups.h"

namespace rotor {
namespace {

constexpr std::string_view kPacked = ".weight_packed";

}  // namespace

ModuleTable CompressedTensorsLayout::table(const QuantScheme& scheme) const {
  ModuleTable table;
  table.codes = kPacked;
  table.scales = ".weight_scale";
  table.scales_dtype = scheme.scale_dtype;
  if (scheme.format == Format::kInt4) {
    table.codes_dtype = DType::kI32;
    table.shape = ".weight_shape";
  }
  if (scheme.format == Format::kNvfp4) {
    table.global_scale = ".weight_global_scale";
    table.input_global_scale = ".input_global_scale";
  }
  return table;
}

std::string CompressedTensorsLayout::module_of_codes(const TensorSpec& tensor) const {
  return module_with_suffix(tensor.name, kPacked);
}

std::vector<RotationTensor> CompressedTensorsLayout::rotation_tensors(
    const QuantizationInfo& info) const {
  std::vector<RotationTensor> tensors;
  for (const RotationGroup& group : rotation_groups(info)) {
    const StoredRotation rotation{group.name, group.block};
    tensors.push_back(
        {group.first_module, rotation_matrix(rotation, group.first_module + rotation.suffix())});
  }
  return tensors;
}

Result<std::string> CompressedTensorsLayout::config_json(std::string_view source_config,
                                                         const QuantizationInfo& info) const {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json quantization, compressed_tensors_config(info));
  return add_quantization_config(source_config, std::move(quantization));
}

}  // namespace rotor
