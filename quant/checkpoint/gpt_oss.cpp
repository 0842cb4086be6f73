#include "quant/checkpoint/gpt_oss.h"

#include <deque>
#include <nlohmann/json.hpp>
#include <utility>

#include "quant/checkpoint/config_reading.h"
#include "quant/checkpoint/layout_limits.h"

namespace rotor {
namespace {

constexpr std::string_view kCodes = "_blocks";
constexpr std::string_view kScales = "_scales";
constexpr int64_t kGroup = 32;
constexpr int64_t kGroupBytes = kGroup / 2;

/// Stacks as the matrices that they are in memory: all but the rows of a shape is one row.
class FlatSource final : public TensorSource {
 public:
  explicit FlatSource(const TensorSource& source) : source_(source) {}

  const TensorSpec* find(const std::string& name) const override {
    const TensorSpec* const found = source_.find(name);
    if (found == nullptr || found->shape.size() < 3) {
      return found;
    }
    TensorSpec flat = *found;
    flat.shape = {found->shape[0] * found->shape[1], found->shape[2]};
    for (size_t i = 3; i < found->shape.size(); ++i) {
      flat.shape[1] *= found->shape[i];
    }
    return &flat_.emplace_back(std::move(flat));
  }
  Status read(const std::string& name, int64_t offset, void* dst, size_t n) const override {
    return source_.read(name, offset, dst, n);
  }

 private:
  const TensorSource& source_;
  mutable std::deque<TensorSpec> flat_;
};

/// As released models have it; loaders read the patterns.
nlohmann::ordered_json quantization_config() {
  return {
      {"quant_method", "mxfp4"},
      {"modules_to_not_convert",
       {"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}}};
}

}  // namespace

ModuleTable GptOssLayout::table(const QuantScheme& /*scheme*/) const {
  ModuleTable table;
  table.codes = kCodes;
  table.scales = kScales;
  table.scales_dtype = DType::kU8;
  return table;
}

std::string GptOssLayout::module_of_codes(const TensorSpec& tensor) const {
  return tensor.dtype == DType::kU8 ? module_with_suffix(tensor.name, kCodes) : std::string();
}

std::vector<RotationTensor> GptOssLayout::rotation_tensors(const QuantizationInfo& /*info*/) const {
  return {};
}

std::vector<StackedTensor> GptOssLayout::stacked_tensors(const QuantizationInfo& info) const {
  std::vector<StackedTensor> tensors;
  for (const ModuleStack& stack : info.stacks) {
    const QuantizedModule& first = info.modules[stack.first];
    const int64_t experts = stack.count / stack.interleaved;
    const int64_t outputs = first.rows * stack.interleaved;
    const int64_t groups = first.cols / kGroup;
    const auto add = [&](std::string_view suffix, std::string_view piece, DType dtype,
                         std::vector<int64_t> shape) {
      StackedTensor tensor{{stack.name + std::string(suffix), dtype, std::move(shape)}, {}, 1};
      tensor.interleaved = stack.interleaved;
      for (size_t i = 0; i < static_cast<size_t>(stack.count); ++i) {
        tensor.pieces.push_back(info.modules[stack.first + i].name + std::string(piece));
      }
      tensors.push_back(std::move(tensor));
    };
    add(kCodes, kCodes, DType::kU8, {experts, outputs, groups, kGroupBytes});
    add(kScales, kScales, DType::kU8, {experts, outputs, groups});
    if (stack.bias) {
      add("_bias", ".bias", *stack.bias, {experts, outputs});
    }
  }
  return tensors;
}

Result<std::string> GptOssLayout::config_json(std::string_view source_config,
                                              const QuantizationInfo& info) const {
  ROTOR_RETURN_IF_ERROR(
      find_limits(Layout::kGptOss, info.scheme.format, info.activations).status());
  return add_quantization_config(source_config, quantization_config());
}

Result<QuantizedMatrix> GptOssLayout::decode_rows(const std::string& module,
                                                  const QuantScheme& scheme,
                                                  const TensorSource& source, int64_t first_row,
                                                  int64_t rows) const {
  return CheckpointLayout::decode_rows(module, scheme, FlatSource(source), first_row, rows);
}

Result<QuantizedModule> GptOssLayout::stored_shape(const std::string& module,
                                                   const QuantScheme& scheme,
                                                   const TensorSource& source) const {
  return CheckpointLayout::stored_shape(module, scheme, FlatSource(source));
}

Result<StoredQuantization> parse_gpt_oss_config(const nlohmann::json& config,
                                                const std::string& path) {
  ROTOR_RETURN_IF_ERROR(first_difference(nlohmann::json(quantization_config()), config, path));
  StoredQuantization out;
  out.layout = Layout::kGptOss;
  ROTOR_ASSIGN_OR_RETURN(out.scheme, make_scheme(Format::kMxfp4, 0, DType::kBf16, Layout::kGptOss));
  return out;
}

}  // namespace rotor
