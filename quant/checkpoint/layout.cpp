#include "quant/checkpoint/layout.h"

#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

#include "quant/base/config_json.h"
#include "quant/base/text.h"
#include "quant/checkpoint/compressed_tensors.h"
#include "quant/checkpoint/compressed_tensors_config.h"
#include "quant/checkpoint/config_reading.h"
#include "quant/checkpoint/fp_quant.h"
#include "quant/checkpoint/fp_quant_config.h"
#include "quant/checkpoint/gpt_oss.h"
#include "quant/checkpoint/modelopt.h"
#include "quant/checkpoint/modelopt_config.h"

namespace rotor {
namespace {

// Scales of INT4 have the model's dtype; transformers 5 calls the key dtype, 4 torch_dtype.
DType model_dtype(const nlohmann::json& config) {
  if (!config.contains("dtype") && !config.contains("torch_dtype") &&
      config.value("text_config", nlohmann::json()).is_object()) {
    return model_dtype(config["text_config"]);  // of a model around a text part
  }
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto value = config.find(key);
    if (value != config.end() && *value == "float16") {
      return DType::kF16;
    }
    if (value != config.end() && *value == "float32") {
      return DType::kF32;
    }
  }
  return DType::kBf16;
}

Status bad_source(const std::string& tensor, const std::string& what) {
  return invalid_argument("tensor " + tensor + ": " + what +
                          "; the source model lacks a weight of a linear to be quantized: fetch it "
                          "again, or leave the module out (--ignore)")
      .with_reason("BAD_SOURCE")
      .with_detail("tensor", tensor);
}

}  // namespace

Result<QuantizedMatrix> CheckpointLayout::decode(const std::string& module,
                                                 const QuantScheme& scheme,
                                                 const TensorSource& source) const {
  ROTOR_ASSIGN_OR_RETURN(const QuantizedModule shape, stored_shape(module, scheme, source));
  return decode_rows(module, scheme, source, 0, shape.rows);
}

std::vector<StackedTensor> CheckpointLayout::stacked_tensors(
    const QuantizationInfo& /*info*/) const {
  return {};
}

Result<std::vector<TextFile>> CheckpointLayout::other_files(
    const QuantizationInfo& /*info*/) const {
  return std::vector<TextFile>{};
}

Status CheckpointLayout::check_other_files(FileSystem& /*fs*/, const std::string& /*directory*/,
                                           const StoredQuantization& /*quantization*/) const {
  return {};
}

std::vector<TensorSpec> CheckpointLayout::tensor_specs(const QuantizedModule& module,
                                                       const QuantScheme& scheme,
                                                       Activations activations) const {
  return module_specs(table(scheme), module, scheme, activations);
}

Result<std::vector<StoredTensor>> CheckpointLayout::encode(const std::string& module,
                                                           Activations activations,
                                                           QuantizedMatrix&& matrix) const {
  return encode_module(table(matrix.scheme), module, activations, std::move(matrix));
}

Result<QuantizedMatrix> CheckpointLayout::decode_rows(const std::string& module,
                                                      const QuantScheme& scheme,
                                                      const TensorSource& source, int64_t first_row,
                                                      int64_t rows) const {
  return decode_module_rows(table(scheme), module, scheme, source, first_row, rows);
}

Result<QuantizedModule> CheckpointLayout::stored_shape(const std::string& module,
                                                       const QuantScheme& scheme,
                                                       const TensorSource& source) const {
  return stored_module(table(scheme), module, scheme, source);
}

const CheckpointLayout& find_layout(Layout kind) {
  static const CompressedTensorsLayout compressed_tensors;
  static const FpQuantLayout fp_quant;
  static const ModelOptLayout modelopt;
  static const GptOssLayout gpt_oss;
  switch (kind) {
    case Layout::kFpQuant:
      return fp_quant;
    case Layout::kModelOpt:
      return modelopt;
    case Layout::kGptOss:
      return gpt_oss;
    case Layout::kCompressedTensors:
      break;
  }
  return compressed_tensors;
}

std::string module_with_suffix(const std::string& tensor, std::string_view suffix) {
  return tensor.ends_with(suffix) ? tensor.substr(0, tensor.size() - suffix.size()) : std::string();
}

Result<StoredQuantization> parse_quantization_config(std::string_view config_text,
                                                     const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json config, parse_config_json(config_text, path));
  if (!config.is_object() || !config.contains("quantization_config") ||
      config["quantization_config"].is_null()) {
    return not_found(path + ": no key 'quantization_config'; the checkpoint is not quantized")
        .with_reason("NOT_QUANTIZED")
        .with_detail("file", path);
  }
  const nlohmann::json& quantization = config["quantization_config"];
  const nlohmann::json method = quantization.is_object()
                                    ? quantization.value("quant_method", nlohmann::json())
                                    : quantization;
  if (method == "compressed-tensors") {
    return parse_compressed_tensors_config(quantization, model_dtype(config), path);
  }
  if (method == "fp_quant") {
    if (const DType dtype = model_dtype(config); dtype != DType::kBf16) {
      return bad_config(path, "/dtype",
                        "the model's dtype is " + std::string(dtype_name(dtype)) +
                            ", and loaders of fp_quant take BF16 alone");
    }
    return parse_fp_quant_config(quantization, path);
  }
  if (method == "modelopt") {
    return parse_modelopt_config(quantization, path);
  }
  if (method == "mxfp4") {
    return parse_gpt_oss_config(quantization, path);
  }
  if (method == "fp8") {
    return not_found(path +
                     ": quant_method \"fp8\" is that of a source model, which is read as BF16; "
                     "no job has quantized the checkpoint")
        .with_reason("NOT_QUANTIZED")
        .with_detail("file", path);
  }
  return invalid_argument(
             path + ": quantization_config: quant_method " + printable(method.dump()) +
             "; Rotor reads \"compressed-tensors\", \"fp_quant\", \"modelopt\" and \"mxfp4\" "
             "checkpoints")
      .with_reason("BAD_CONFIG")
      .with_detail("file", path)
      .with_detail("key", "quant_method");
}

Result<std::string> add_quantization_config(std::string_view source_config,
                                            nlohmann::ordered_json quantization) {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                         parse_ordered_config_json(source_config, "config.json"));
  // A key that is null says that the model is not quantized.
  if (!config.is_object() ||
      !config.value("quantization_config", nlohmann::ordered_json()).is_null()) {
    return invalid_argument(std::string("config.json: ") +
                            (config.is_object() ? "key 'quantization_config': the model is "
                                                  "quantized already; start from the original"
                                                : "not one JSON object; fetch the model again"))
        .with_reason("BAD_SOURCE")
        .with_detail("file", "config.json");
  }
  config["quantization_config"] = std::move(quantization);
  return dump_config_json(config) + "\n";
}

Result<std::vector<TensorSpec>> checkpoint_tensors(const CheckpointLayout& layout,
                                                   const QuantizationInfo& info,
                                                   const std::vector<TensorSpec>& source) {
  std::unordered_map<std::string, const QuantizedModule*> by_weight;
  for (const QuantizedModule& module : info.modules) {
    by_weight.emplace(module.name + ".weight", &module);
  }
  std::unordered_map<std::string, TensorSpec> rotations;  // by the module they are named after
  for (RotationTensor& rotation : layout.rotation_tensors(info)) {
    rotations.emplace(std::move(rotation.module), std::move(rotation.tensor.spec));
  }
  std::vector<TensorSpec> out;
  for (const TensorSpec& tensor : source) {
    const auto at = by_weight.find(tensor.name);
    if (at == by_weight.end()) {
      out.push_back(tensor);
      continue;
    }
    const QuantizedModule& module = *at->second;
    if (tensor.shape != std::vector<int64_t>{module.rows, module.cols}) {
      return bad_source(tensor.name, describe(tensor) + ", where the config says [" +
                                         std::to_string(module.rows) + ", " +
                                         std::to_string(module.cols) + "]");
    }
    for (TensorSpec& spec : layout.tensor_specs(module, info.scheme, info.activations)) {
      out.push_back(std::move(spec));
    }
    if (const auto rotation = rotations.find(module.name); rotation != rotations.end()) {
      out.push_back(std::move(rotation->second));
    }
    by_weight.erase(at);
  }
  for (const QuantizedModule& module : info.modules) {
    if (by_weight.contains(module.name + ".weight")) {
      return bad_source(module.name + ".weight", "missing");
    }
  }
  return with_stacked(layout.stacked_tensors(info), std::move(out));
}

}  // namespace rotor
