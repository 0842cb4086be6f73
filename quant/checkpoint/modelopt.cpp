#include "quant/checkpoint/modelopt.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "quant/checkpoint/modelopt_config.h"

namespace rotor {
namespace {

constexpr std::string_view kCodes = ".weight";
constexpr const char* kConfigName = "hf_quant_config.json";

}  // namespace

ModuleTable ModelOptLayout::table(const QuantScheme& /*scheme*/) const {
  ModuleTable table;
  table.codes = kCodes;
  table.scales = ".weight_scale";
  table.global_scale = ".weight_scale_2";
  table.input_global_scale = ".input_scale";
  table.scalar_shape = {};
  return table;
}

std::string ModelOptLayout::module_of_codes(const TensorSpec& tensor) const {
  return tensor.dtype == DType::kU8 ? module_with_suffix(tensor.name, kCodes) : std::string();
}

std::vector<RotationTensor> ModelOptLayout::rotation_tensors(
    const QuantizationInfo& /*info*/) const {
  return {};
}

Result<std::string> ModelOptLayout::config_json(std::string_view source_config,
                                                const QuantizationInfo& info) const {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json quantization, modelopt_config(info));
  return add_quantization_config(source_config, std::move(quantization));
}

Result<std::vector<TextFile>> ModelOptLayout::other_files(const QuantizationInfo& info) const {
  return std::vector<TextFile>{{kConfigName, hf_quant_config(info).dump(2) + "\n"}};
}

Status ModelOptLayout::check_other_files(FileSystem& fs, const std::string& directory,
                                         const StoredQuantization& quantization) const {
  const std::string path = join_path(directory, kConfigName);
  ROTOR_ASSIGN_OR_RETURN(const std::string text, read_whole_file(fs, path, kMaxConfigBytes));
  return check_hf_quant_config(text, path, quantization);
}

}  // namespace rotor
