#include "quant/checkpoint/compressed_tensors_config.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "quant/base/text.h"
#include "quant/checkpoint/config_reading.h"
#include "quant/checkpoint/layout_limits.h"
#include "quant/checkpoint/rotation_groups.h"

namespace rotor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The version of the compressed-tensors package whose schema this is.
constexpr const char* kVersion = "0.18.0";

struct FormatRow {
  Format format;
  const char* name;
  const char* type;
  const char* strategy;
  const char* scale_dtype;  // null: none is written
};

constexpr std::array<FormatRow, 3> kFormats{{
    {Format::kNvfp4, "nvfp4-pack-quantized", "float", "tensor_group", "torch.float8_e4m3fn"},
    {Format::kMxfp4, "mxfp4-pack-quantized", "float", "group", "torch.uint8"},
    {Format::kInt4, "pack-quantized", "int", "group", nullptr},
}};

const FormatRow& row_of(Format format) {
  return kFormats[static_cast<size_t>(format)];
}
static_assert(kFormats[static_cast<size_t>(Format::kInt4)].format == Format::kInt4);
static_assert(kFormats[static_cast<size_t>(Format::kMxfp4)].format == Format::kMxfp4);

// All that may differ between two objects of this layout.
struct Fields {
  Format format = Format::kNvfp4;
  int64_t group_size = 0;
  bool quantized_input = false;
  ordered_json actorder;  // "static" or null
  ordered_json observer;  // how the scales were found; says nothing about the bytes
  ordered_json ignore;    // a list of names
  ordered_json version;
  struct Rotation {
    std::string name;
    int block = 0;
    ordered_json targets;
    ordered_json ignore;
  };
  std::vector<Rotation> rotations;
};

ordered_json quantization_args(const Fields& fields, bool input) {
  const FormatRow& row = row_of(fields.format);
  ordered_json dynamic = false;
  ordered_json observer = fields.observer;
  if (input) {
    const bool local = fields.format == Format::kNvfp4;
    dynamic = local ? ordered_json("local") : ordered_json(true);
    observer = local ? ordered_json("static_minmax") : ordered_json(nullptr);
  }
  return {{"actorder", input ? ordered_json(nullptr) : fields.actorder},
          {"block_structure", nullptr},
          {"dynamic", std::move(dynamic)},
          {"group_size", fields.group_size},
          {"num_bits", 4},
          {"observer", std::move(observer)},
          {"observer_kwargs", ordered_json::object()},
          {"scale_dtype",
           row.scale_dtype == nullptr ? ordered_json(nullptr) : ordered_json(row.scale_dtype)},
          {"strategy", row.strategy},
          {"symmetric", true},
          {"type", row.type},
          {"zp_dtype", nullptr}};
}

ordered_json transform_config(const std::vector<Fields::Rotation>& rotations) {
  if (rotations.empty()) {
    return ordered_json::object();
  }
  ordered_json groups = ordered_json::object();
  for (const Fields::Rotation& rotation : rotations) {
    ordered_json apply = ordered_json::array();
    for (const bool weight : {false, true}) {
      apply.push_back({{"targets", rotation.targets},
                       {"location", weight ? "weight_input" : "input"},
                       {"inverse", weight},
                       {"ignore", rotation.ignore}});
    }
    groups[rotation.name] = {{"type", "hadamard"},           {"head_dim", rotation.block},
                             {"precision", "torch.float64"}, {"randomize", false},
                             {"requires_grad", false},       {"apply", std::move(apply)}};
  }
  return {{"config_groups", std::move(groups)}};
}

ordered_json write(const Fields& fields) {
  const char* format = row_of(fields.format).name;
  const ordered_json group = {
      {"format", format},
      {"targets", ordered_json::array({"Linear"})},
      {"output_activations", nullptr},
      {"input_activations",
       fields.quantized_input ? quantization_args(fields, true) : ordered_json(nullptr)},
      {"weights", quantization_args(fields, false)}};
  return {{"config_groups", {{"group_0", group}}},
          {"format", format},
          {"global_compression_ratio", nullptr},
          {"ignore", fields.ignore},
          {"kv_cache_scheme", nullptr},
          {"quant_method", "compressed-tensors"},
          {"quantization_status", "compressed"},
          {"sparsity_config", ordered_json::object()},
          {"transform_config", transform_config(fields.rotations)},
          {"version", fields.version}};
}

Status parse_rotations(const json& config, const std::string& path, Fields& fields,
                       StoredQuantization& out) {
  constexpr const char* kGroups = "/transform_config/config_groups";
  const json groups = value_at(config, kGroups);
  if (!groups.is_object()) {
    return {};
  }
  for (const auto& [name, group] : groups.items()) {
    const std::string key = std::string(kGroups) + "/" + name;
    ROTOR_ASSIGN_OR_RETURN(const int size,
                           block_size(value_at(group, "/head_dim"), path, key + "/head_dim"));
    const json targets = value_at(group, "/apply/0/targets");
    const json ignore = value_at(group, "/apply/0/ignore");
    const auto target_names = names_in(targets);
    const auto ignore_names = names_in(ignore);
    if (!target_names || !ignore_names) {
      return bad_config(path, key + "/apply/0",
                        "targets and ignore must be lists of names, without patterns");
    }
    fields.rotations.push_back({name, size, targets, ignore});
    out.rotations.push_back({name, size, *target_names, *ignore_names});
  }
  return {};
}

}  // namespace

Result<ordered_json> compressed_tensors_config(const QuantizationInfo& info) {
  ROTOR_RETURN_IF_ERROR(
      find_limits(Layout::kCompressedTensors, info.scheme.format, info.activations).status());
  Fields fields;
  fields.format = info.scheme.format;
  fields.group_size = info.scheme.group_size;
  fields.quantized_input = info.activations == Activations::kA4;
  fields.actorder = info.act_order ? ordered_json("static") : ordered_json(nullptr);
  fields.observer = info.scale_search == ScaleSearch::kMse ? "mse" : "minmax";
  fields.ignore = info.ignored;
  fields.version = kVersion;
  for (const RotationGroup& group : rotation_groups(info)) {
    fields.rotations.push_back({group.name, group.block, group.targets, group.ignore});
  }
  return write(fields);
}

Result<StoredQuantization> parse_compressed_tensors_config(const json& config, DType model_dtype,
                                                           const std::string& path) {
  StoredQuantization out;
  Fields fields;
  const json format = value_at(config, "/format");
  const FormatRow* row = nullptr;
  for (const FormatRow& candidate : kFormats) {
    row = format == candidate.name ? &candidate : row;
  }
  if (row == nullptr) {
    return bad_config(path, "/format", printable(format.dump()) + " is unknown");
  }
  constexpr const char* kGroupSize = "/config_groups/group_0/weights/group_size";
  const json group_size = value_at(config, kGroupSize);
  const auto scheme = make_scheme(
      row->format, group_size.is_number_integer() ? group_size.get<int64_t>() : -1, model_dtype);
  if (!scheme.ok()) {
    return bad_config(path, kGroupSize, scheme.status().message());
  }
  out.scheme = *scheme;
  fields.format = row->format;
  fields.group_size = out.scheme.group_size;
  fields.quantized_input = value_at(config, "/config_groups/group_0/input_activations").is_object();
  out.activations = fields.quantized_input ? Activations::kA4 : Activations::kA16;
  if (const auto limits = find_limits(out.layout, row->format, out.activations); !limits.ok()) {
    return bad_config(path, "/config_groups/group_0/input_activations", limits.status().message());
  }
  const json actorder = value_at(config, "/config_groups/group_0/weights/actorder");
  fields.actorder = actorder == "static" ? ordered_json("static") : ordered_json(nullptr);
  const json observer = value_at(config, "/config_groups/group_0/weights/observer");
  fields.observer = observer.is_string() ? ordered_json(observer) : ordered_json("mse");
  const json version = value_at(config, "/version");
  fields.version = version.is_string() ? ordered_json(version) : ordered_json(kVersion);
  const json ignore = value_at(config, "/ignore");
  const auto ignored = names_in(ignore);
  if (!ignored) {
    return bad_config(path, "/ignore", "must be a list of module names, without patterns");
  }
  out.ignored = *ignored;
  fields.ignore = ignore;
  ROTOR_RETURN_IF_ERROR(parse_rotations(config, path, fields, out));
  ROTOR_RETURN_IF_ERROR(first_difference(json(write(fields)), config, path));
  return out;
}

}  // namespace rotor
