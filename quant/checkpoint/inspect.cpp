#include "quant/checkpoint/inspect.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "quant/base/json.h"
#include "quant/base/text.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/layout.h"

namespace rotor {
namespace {

constexpr int64_t kMaxReportBytes = int64_t{1} << 28;

ReportedModule reported_module(const nlohmann::json& row) {
  ReportedModule out;
  out.name = row.at("name").get<std::string>();
  out.method = row.value("method", "");
  out.relative_error = row.value("relative_error", 0.0);
  out.rtn_relative_error = row.value("rtn_relative_error", 0.0);
  out.damping = row.value("damping", 0.0);
  out.rotation = row.value("rotation", 0);
  out.tokens = row.value("tokens", int64_t{0});
  for (const nlohmann::json& fallback : row.value("fallbacks", nlohmann::json::array())) {
    out.fallbacks.push_back(fallback.value("kind", "") + ": " + fallback.value("detail", ""));
  }
  return out;
}

Result<std::vector<ReportedModule>> read_report(FileSystem& fs, const std::string& path) {
  std::vector<ReportedModule> rows;
  ROTOR_ASSIGN_OR_RETURN(const bool there, path_exists(fs, path));
  if (!there) {
    return rows;
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string text, read_whole_file(fs, path, kMaxReportBytes));
  ROTOR_ASSIGN_OR_RETURN(const nlohmann::json report, parse_json(text, path));
  try {
    for (const nlohmann::json& row : report.at("modules")) {
      rows.push_back(reported_module(row));
    }
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument(path + ": " + printable(error.what()) +
                            "; it is not a report of Rotor's: remove it")
        .with_reason("BAD_REPORT")
        .with_detail("file", path);
  }
  return rows;
}

// Fills what depends on the layout: modules, and which tensors are theirs.
Status inspect_modules(const CheckpointReader& reader, const StoredQuantization& quantization,
                       InspectReport& report) {
  const CheckpointLayout& layout = find_layout(quantization.layout);
  std::map<std::string, size_t> owner;  // tensor -> index in report.modules
  for (const TensorSpec& tensor : reader.tensors()) {
    const std::string name = layout.module_of_codes(tensor);
    if (name.empty()) {
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const QuantizedModule shape,
                           layout.stored_shape(name, quantization.scheme, reader));
    for (const TensorSpec& spec :
         layout.tensor_specs(shape, quantization.scheme, quantization.activations)) {
      owner.emplace(spec.name, report.modules.size());
    }
    const StoredRotation* rotation = quantization.rotation_of(name);
    report.modules.push_back(
        {name, shape.rows, shape.cols, rotation == nullptr ? 0 : rotation->block, 0, 0.0});
  }
  for (InspectedTensor& tensor : report.tensors) {
    if (const auto at = owner.find(tensor.spec.name); at != owner.end()) {
      InspectedModule& module = report.modules[at->second];
      tensor.module = module.name;
      module.bytes += tensor.spec.byte_size();
    }
  }
  for (InspectedModule& module : report.modules) {
    const int64_t elements = module.rows * module.cols;
    module.bits_per_weight =
        8.0 * static_cast<double>(module.bytes) / static_cast<double>(elements);
    report.module_bytes += module.bytes;
    report.module_source_bytes += 2 * elements;
  }
  return {};
}

}  // namespace

Result<InspectReport> inspect_checkpoint(FileSystem& fs, const std::string& directory) {
  const std::string config_path = join_path(directory, "config.json");
  ROTOR_ASSIGN_OR_RETURN(const std::string config,
                         read_whole_file(fs, config_path, kMaxConfigBytes));
  ROTOR_ASSIGN_OR_RETURN(const auto reader, CheckpointReader::open(fs, directory));
  InspectReport report;
  report.shards = std::ssize(reader->shards());
  for (const TensorSpec& tensor : reader->tensors()) {
    const std::string& path = reader->shard_of(tensor.name)->path();
    report.tensors.push_back({tensor, path.substr(path.rfind('/') + 1), {}});
    report.data_bytes += tensor.byte_size();
  }
  const auto quantization = parse_quantization_config(config, config_path);
  if (quantization.ok()) {
    report.quantized = true;
    report.layout = quantization->layout;
    report.scheme = quantization->scheme;
    report.activations = quantization->activations;
    report.ignored.assign(quantization->ignored.begin(), quantization->ignored.end());
    ROTOR_RETURN_IF_ERROR(inspect_modules(*reader, *quantization, report));
  } else if (quantization.status().reason() != "NOT_QUANTIZED") {
    return quantization.status();
  }
  ROTOR_ASSIGN_OR_RETURN(report.report, read_report(fs, join_path(directory, kReportName)));
  return report;
}

}  // namespace rotor
