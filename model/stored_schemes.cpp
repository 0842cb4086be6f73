#include "model/stored_schemes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace rotor {
namespace {

using nlohmann::json;

constexpr int64_t kLargestBlock = 1 << 20;
constexpr const char* kRemedy = ": convert the model to BF16, or give the original";

/// A way of packing, by compressed-tensors' names.
struct FormatRow {
  std::string_view name;
  std::optional<Format> format;
  std::string_view type;
  int64_t bits = 0;
  int64_t group = 0;  // elements of a row that share a scale; 0: as the group says
};

constexpr std::array kFormats = {
    FormatRow{"float-quantized", std::nullopt, "float", 8},
    FormatRow{"naive-quantized", std::nullopt, "float", 8},
    FormatRow{"mxfp8-quantized", std::nullopt, "float", 8, 32},
    FormatRow{"pack-quantized", Format::kInt4, "int", 4},
    FormatRow{"nvfp4-pack-quantized", Format::kNvfp4, "float", 4, 16},
    FormatRow{"mxfp4-pack-quantized", Format::kMxfp4, "float", 4, 32},
};

std::string known_formats() {
  std::string list;
  for (const FormatRow& row : kFormats) {
    list += (list.empty() ? "\"" : ", \"") + std::string(row.name) + "\"";
  }
  return list;
}

/// Two sizes, rows and columns of a block.
Result<WeightScheme> parse_block(const JsonObject& object, const char* key) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const json*> sizes, object.array(key));
  WeightScheme scheme;
  for (size_t i = 0; i < sizes.size() && sizes.size() == 2; ++i) {
    const int64_t size = sizes[i]->is_number_integer() ? sizes[i]->get<int64_t>() : 0;
    (i == 0 ? scheme.rows : scheme.cols) = size < 1 || size > kLargestBlock ? 0 : size;
  }
  if (scheme.rows == 0 || scheme.cols == 0) {
    return object.error(key, "it must be two sizes, rows and columns of a block: [128, 128]");
  }
  return scheme;
}

Result<WeightScheme> parse_group_size(const JsonObject& weights, const FormatRow& row) {
  constexpr const char* kKey = "group_size";
  ROTOR_ASSIGN_OR_RETURN(const int64_t size,
                         row.group == 0 ? weights.integer(kKey, 1, kLargestBlock)
                                        : weights.integer_or(kKey, row.group, 1, kLargestBlock));
  if (row.group != 0 && size != row.group) {
    return weights.error(
        kKey, "groups of " + std::string(row.name) + " are " + std::to_string(row.group) + kRemedy);
  }
  return WeightScheme{row.format, 1, size};
}

/// As compressed-tensors takes it where it is not given.
std::string default_strategy(const JsonObject& weights, const FormatRow& row) {
  const json* size = weights.find("group_size");
  if (size == nullptr) {
    return row.group == 0 ? "tensor" : "group";
  }
  return *size == -1 ? "channel" : "group";
}

/// What the weights of a group are: QuantizationArgs.
Result<WeightScheme> parse_weights(const JsonObject& weights, const FormatRow& row) {
  const std::string name(row.name);
  ROTOR_ASSIGN_OR_RETURN(const int64_t bits, weights.integer_or("num_bits", 8, 1, 64));
  if (bits != row.bits) {
    return weights.error("num_bits", name + " is read with " + std::to_string(row.bits) + kRemedy);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string type, weights.string_or("type", std::string(row.type)));
  if (type != row.type) {
    return weights.error(
        "type", name + " is read of type \"" + std::string(row.type) + "\" alone" + kRemedy);
  }
  ROTOR_ASSIGN_OR_RETURN(const bool symmetric, weights.boolean_or("symmetric", true));
  if (!symmetric) {
    return weights.error("symmetric",
                         std::string("weights with zero points are not read") + kRemedy);
  }
  if (const json* order = weights.find("actorder");
      order != nullptr && (*order == "group" || *order == "dynamic")) {
    return weights.error(
        "actorder",
        std::string("columns whose groups are in another order are not read") + kRemedy);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string strategy,
                         weights.string_or("strategy", default_strategy(weights, row)));
  const bool fp8 = !row.format && row.group == 0;
  if (fp8 && strategy == "tensor") {
    return WeightScheme{};
  }
  if (fp8 && strategy == "block") {
    return parse_block(weights, "block_structure");
  }
  if (strategy == "channel" && row.group == 0) {
    return WeightScheme{row.format, 1, 0};
  }
  if (strategy == (row.format == Format::kNvfp4 ? "tensor_group" : "group")) {
    return parse_group_size(weights, row);
  }
  return weights.error("strategy", "it is none that " + name + " is read with" + kRemedy);
}

Status parse_group(const JsonObject& root, const JsonObject& group, SourceQuantization& out) {
  if (!group.has("weights")) {
    return {};
  }
  const JsonObject& place = group.has("format") ? group : root;
  ROTOR_ASSIGN_OR_RETURN(const std::string format, place.string("format"));
  const auto row = std::find_if(kFormats.begin(), kFormats.end(),
                                [&](const FormatRow& known) { return known.name == format; });
  if (row == kFormats.end()) {
    return place.error("format", "read are " + known_formats() + kRemedy);
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject weights, group.object("weights"));
  ROTOR_ASSIGN_OR_RETURN(const WeightScheme scheme, parse_weights(weights, *row));
  if (std::find(out.schemes.begin(), out.schemes.end(), scheme) == out.schemes.end()) {
    out.schemes.push_back(scheme);
  }
  if (group.has("input_activations")) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject inputs, group.object("input_activations"));
    ROTOR_ASSIGN_OR_RETURN(const int64_t bits, inputs.integer_or("num_bits", 8, 1, 64));
    out.four_bit_inputs = out.four_bit_inputs || bits == 4;
  }
  return {};
}

}  // namespace

Result<SourceQuantization> parse_fp8_schemes(const JsonObject& object) {
  constexpr const char* kBlock = "weight_block_size";
  constexpr const char* kFormat = "fmt";
  constexpr const char* kScales = "scale_fmt";
  ROTOR_ASSIGN_OR_RETURN(const std::string format, object.string_or(kFormat, "e4m3"));
  if (format != "e4m3") {
    return object.error(kFormat, std::string("FP8 weights are read in e4m3 alone") + kRemedy);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string scales, object.string_or(kScales, "float"));
  if (scales != "float" && scales != "ue8m0") {
    return object.error(kScales, std::string("it must be \"float\" or \"ue8m0\"") + kRemedy);
  }
  SourceQuantization fp8{.form = StoredForm::kScaledWeights};
  if (object.has(kBlock)) {
    ROTOR_ASSIGN_OR_RETURN(const WeightScheme scheme, parse_block(object, kBlock));
    fp8.schemes.push_back(scheme);
  } else {
    fp8.schemes = {WeightScheme{}, WeightScheme{.rows = 1}};
  }
  return fp8;
}

Result<SourceQuantization> parse_compressed_schemes(const JsonObject& object) {
  for (const auto& [key, what] : {std::pair{"transform_config", "weights in a rotated basis"},
                                  std::pair{"sparsity_config", "sparse weights"}}) {
    const json* found = object.find(key);
    const bool dense = found != nullptr && found->is_object() &&
                       (found->empty() || found->value("format", json()) == "dense");
    if (found != nullptr && !dense) {
      return object.error(key, std::string(what) + " are not read" + kRemedy);
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const JsonObject groups, object.object("config_groups"));
  SourceQuantization out{.form = StoredForm::kScaledWeights};
  for (const auto& [name, group] : object.find("config_groups")->items()) {
    ROTOR_ASSIGN_OR_RETURN(const JsonObject parsed, groups.object(name));
    ROTOR_RETURN_IF_ERROR(parse_group(object, parsed, out));
  }
  if (out.schemes.empty()) {
    return object.error("config_groups", std::string("no group of it has weights") + kRemedy);
  }
  return out;
}

}  // namespace rotor
