#include "model/stored_form.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/base/config_json.h"

namespace rotor {
namespace {

constexpr const char* kKey = "quantization_config";
constexpr int64_t kLargestBlock = 1 << 20;

Status already_quantized(const JsonObject& config, const std::string& key) {
  return invalid_argument(config.file() + ": the checkpoint is quantized already (key \"" + key +
                          "\"): give the original model, in bfloat16, float16 or float32, or in "
                          "FP8 blocks (quant_method \"fp8\"), or with experts in MXFP4 "
                          "(\"mxfp4\")")
      .with_reason("ALREADY_QUANTIZED")
      .with_detail("file", config.file())
      .with_detail("key", key);
}

Result<SourceQuantization> parse_fp8(const JsonObject& object) {
  constexpr const char* kBlock = "weight_block_size";
  constexpr const char* kFormat = "fmt";
  ROTOR_ASSIGN_OR_RETURN(const std::string format, object.string_or(kFormat, "e4m3"));
  if (format != "e4m3") {
    return object.error(kFormat, "FP8 weights are read in e4m3 alone: convert the model to BF16");
  }
  if (!object.has(kBlock)) {
    return object.error(kBlock,
                        "FP8 weights are read with a scale for each block of a matrix, such as "
                        "[128, 128]: convert the model to BF16");
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> sizes, object.array(kBlock));
  SourceQuantization fp8{.form = StoredForm::kFp8Blocks};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t size = sizes[i]->is_number_integer() ? sizes[i]->get<int64_t>() : 0;
    if (sizes.size() != 2 || size < 1 || size > kLargestBlock) {
      break;
    }
    (i == 0 ? fp8.block_rows : fp8.block_cols) = size;
  }
  if (fp8.block_rows == 0 || fp8.block_cols == 0) {
    return object.error(kBlock, "it must be two sizes, rows and columns of a block: [128, 128]");
  }
  return fp8;
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
  const auto method =
      quantization->is_object() ? quantization->find("quant_method") : quantization->end();
  if (method != quantization->end() && *method == "fp8") {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject object, config.object(kKey));
    return parse_fp8(object);
  }
  if (method != quantization->end() && *method == "mxfp4") {
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
