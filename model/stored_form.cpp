#include "model/stored_form.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quant/base/config_json.h"

namespace rotor {
namespace {

constexpr const char* kKey = "quantization_config";
constexpr int64_t kLargestBlock = 1 << 20;

Status already_quantized(const JsonObject& config, const std::string& key) {
  return invalid_argument(config.file() + ": the checkpoint is quantized already (key \"" + key +
                          "\"): give the original model, in bfloat16, float16 or float32, in FP8 "
                          "(quant_method \"fp8\", \"fbgemm_fp8\", or \"compressed-tensors\" with "
                          "format \"float-quantized\"), or with experts in MXFP4 (\"mxfp4\")")
      .with_reason("ALREADY_QUANTIZED")
      .with_detail("file", config.file())
      .with_detail("key", key);
}

Result<SourceQuantization> parse_blocks(const JsonObject& object, const char* key) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> sizes, object.array(key));
  SourceQuantization fp8{.form = StoredForm::kFp8Blocks};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t size = sizes[i]->is_number_integer() ? sizes[i]->get<int64_t>() : 0;
    if (sizes.size() != 2 || size < 1 || size > kLargestBlock) {
      break;
    }
    (i == 0 ? fp8.block_rows : fp8.block_cols) = size;
  }
  if (fp8.block_rows == 0 || fp8.block_cols == 0) {
    return object.error(key, "it must be two sizes, rows and columns of a block: [128, 128]");
  }
  return fp8;
}

/// As DeepSeek and transformers write it, with blocks, and as Mistral does, without.
Result<SourceQuantization> parse_fp8(const JsonObject& object) {
  constexpr const char* kBlock = "weight_block_size";
  constexpr const char* kFormat = "fmt";
  ROTOR_ASSIGN_OR_RETURN(const std::string format, object.string_or(kFormat, "e4m3"));
  if (format != "e4m3") {
    return object.error(kFormat, "FP8 weights are read in e4m3 alone: convert the model to BF16");
  }
  return object.has(kBlock) ? parse_blocks(object, kBlock)
                            : SourceQuantization{.form = StoredForm::kFp8Blocks};
}

/// A group of compressed-tensors' config_groups whose weights are FP8.
Result<SourceQuantization> parse_group(const JsonObject& group) {
  ROTOR_ASSIGN_OR_RETURN(const JsonObject weights, group.object("weights"));
  ROTOR_ASSIGN_OR_RETURN(const int64_t bits, weights.integer_or("num_bits", 0, 0, 64));
  ROTOR_ASSIGN_OR_RETURN(const std::string type, weights.string_or("type", ""));
  ROTOR_ASSIGN_OR_RETURN(const std::string strategy, weights.string_or("strategy", ""));
  if (bits != 8 || type != "float") {
    return weights.error("num_bits", "weights are read in FP8 (8, \"type\" \"float\") alone");
  }
  if (strategy == "block") {
    return parse_blocks(weights, "block_structure");
  }
  if (strategy != "tensor" && strategy != "channel") {
    return weights.error("strategy", "FP8 weights are read by tensor, channel and block alone");
  }
  return SourceQuantization{.form = StoredForm::kFp8Blocks};
}

Result<SourceQuantization> parse_compressed_fp8(const JsonObject& object) {
  // Caches have scales of their own beside those of the weights.
  for (const char* key : {"kv_cache_scheme", "transform_config"}) {
    const nlohmann::json* value = object.find(key);
    if (value != nullptr && !value->empty()) {
      return object.error(key, "FP8 models are read without it: convert the model to BF16");
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject groups, object.object("config_groups"));
  std::optional<SourceQuantization> found;
  for (const auto& [name, value] : object.find("config_groups")->items()) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject group, groups.object(name));
    ROTOR_ASSIGN_OR_RETURN(const SourceQuantization fp8, parse_group(group));
    if (found && (found->block_rows != fp8.block_rows || found->block_cols != fp8.block_cols)) {
      return object.error("config_groups", "all groups must have blocks of one size");
    }
    found = fp8;
  }
  if (!found) {
    return object.error("config_groups", "it must hold a group");
  }
  return *found;
}

}  // namespace

Result<SourceQuantization> parse_source_quantization(const JsonObject& config,
                                                     bool allow_quantized) {
  if (config.has("compression_config") && !allow_quantized) {
    return already_quantized(config, "compression_config");
  }
  const nlohmann::json* quantization = config.find(kKey);
  if (quantization == nullptr) {
    return SourceQuantization{};
  }
  const auto text_at = [&](const char* key) {
    return quantization->is_object() ? quantization->value(key, nlohmann::json())
                                     : nlohmann::json();
  };
  const nlohmann::json method = text_at("quant_method");
  if (method == "fp8" || method == "fbgemm_fp8") {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, config.object(kKey));
    return parse_fp8(object);
  }
  if (method == "compressed-tensors" && text_at("format") == "float-quantized") {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, config.object(kKey));
    return parse_compressed_fp8(object);
  }
  if (method == "mxfp4") {
    return SourceQuantization{.form = StoredForm::kMxfp4Experts};
  }
  if (!allow_quantized) {
    return already_quantized(config, kKey);
  }
  return SourceQuantization{};
}

Result<std::string> without_source_quantization(const std::string& config_text) {
  ROTOR_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                         parse_ordered_config_json(config_text, "config.json"));
  config.erase(kKey);
  return dump_config_json(config);
}

}  // namespace rotor
