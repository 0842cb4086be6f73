#include "ops/cli/inspect_view.h"

#include <map>
#include <nlohmann/json.hpp>

#include "ops/cli/report_table.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) {
    text += (text.size() == 1 ? "" : ", ") + std::to_string(size);
  }
  return text + "]";
}

/// The error table comes from the same code as that of a running job.
v1::Report as_report(const InspectReport& report) {
  v1::Report result;
  v1::LayerReport& layer = *result.add_layers();
  for (const ReportedModule& row : report.report) {
    v1::ModuleReport& module = *layer.add_modules();
    module.set_name(row.name);
    module.set_method(row.method);
    module.set_relative_error(row.relative_error);
    module.set_rtn_relative_error(row.rtn_relative_error);
    module.set_damping(row.damping);
    module.set_rotation(row.rotation);
    module.set_tokens(row.tokens);
    for (const std::string& fallback : row.fallbacks) {
      const size_t colon = fallback.find(": ");
      v1::Fallback& entry = *module.add_fallbacks();
      entry.set_kind(fallback.substr(0, colon));
      entry.set_detail(colon == std::string::npos ? "" : fallback.substr(colon + 2));
    }
  }
  return result;
}

std::string dtype_summary(const InspectReport& report) {
  std::map<std::string, int64_t> bytes;
  for (const InspectedTensor& tensor : report.tensors) {
    bytes[std::string(dtype_name(tensor.spec.dtype))] += tensor.spec.byte_size();
  }
  std::string text;
  for (const auto& [dtype, count] : bytes) {
    text += (text.empty() ? "" : ", ") + dtype + " " + format_bytes(count);
  }
  return text;
}

}  // namespace

nlohmann::ordered_json inspect_json(const InspectReport& report) {
  Json tensors = Json::array();
  for (const InspectedTensor& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.spec.name},
                       {"dtype", dtype_name(tensor.spec.dtype)},
                       {"shape", tensor.spec.shape},
                       {"bytes", tensor.spec.byte_size()},
                       {"file", tensor.file},
                       {"module", tensor.module}});
  }
  Json modules = Json::array();
  for (const InspectedModule& module : report.modules) {
    modules.push_back({{"name", module.name},
                       {"shape", {module.rows, module.cols}},
                       {"rotation", module.rotation},
                       {"bytes", module.bytes},
                       {"bits_per_weight", module.bits_per_weight}});
  }
  Json json = {{"quantized", report.quantized}};
  if (report.quantized) {
    json["layout"] = to_string(report.layout);
    json["format"] = to_string(report.scheme.format);
    json["activations"] = to_string(report.activations);
    json["group_size"] = report.scheme.group_size;
  }
  json["shards"] = report.shards;
  json["data_bytes"] = report.data_bytes;
  json["module_bytes"] = report.module_bytes;
  json["module_source_bytes"] = report.module_source_bytes;
  json["ignore"] = report.ignored;
  json["modules"] = modules;
  json["tensors"] = tensors;
  json["report"] = Json::array();
  for (const ReportedModule& row : report.report) {
    json["report"].push_back({{"name", row.name},
                              {"relative_error", row.relative_error},
                              {"rtn_relative_error", row.rtn_relative_error},
                              {"damping", row.damping},
                              {"rotation", row.rotation},
                              {"method", row.method},
                              {"tokens", row.tokens},
                              {"fallbacks", row.fallbacks}});
  }
  return json;
}

std::string inspect_text(const InspectReport& report, bool all) {
  std::string text;
  if (report.quantized) {
    text += "format      " + std::string(to_string(report.scheme.format)) + " " +
            std::string(to_string(report.activations)) + ", group " +
            std::to_string(report.scheme.group_size) + ", layout " +
            std::string(to_string(report.layout)) + "\n";
    text += "modules     " + std::to_string(report.modules.size()) +
            " quantized: " + format_bytes(report.module_bytes) + ", " +
            format_bytes(report.module_source_bytes) + " before\n";
    text += "ignored     " + std::to_string(report.ignored.size()) + "\n";
  } else {
    text += "format      not quantized\n";
  }
  text += "tensors     " + std::to_string(report.tensors.size()) + " in " +
          std::to_string(report.shards) + (report.shards == 1 ? " file, " : " files, ") +
          format_bytes(report.data_bytes) + ": " + dtype_summary(report) + "\n";
  if (!report.report.empty()) {
    text += "\n" + module_table(as_report(report), all);
  }
  if (all) {
    std::vector<std::vector<std::string>> rows = {{"tensor", "dtype", "shape", "bytes", "file"}};
    for (const InspectedTensor& tensor : report.tensors) {
      rows.push_back({tensor.spec.name, std::string(dtype_name(tensor.spec.dtype)),
                      shape_text(tensor.spec.shape), std::to_string(tensor.spec.byte_size()),
                      tensor.file});
    }
    text += "\n" + format_table(rows, {false, false, false, true, false});
  }
  return text;
}

}  // namespace rotor::cli
