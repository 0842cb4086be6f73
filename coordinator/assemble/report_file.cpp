#include "coordinator/assemble/report_file.h"

#include <nlohmann/json.hpp>

#include "coordinator/jobs/report.h"
#include "proto/convert.h"

namespace rotor::coordinator {
namespace {

using nlohmann::ordered_json;

ordered_json options_json(const JobRecord& job, bool mixture) {
  const v1::JobSpec& spec = job.spec;
  ordered_json options;
  options["format"] = cli_name(spec.format());
  options["method"] = cli_name(spec.method());
  options["activations"] = cli_name(spec.activations());
  options["rotation"] = spec.rotation();
  if (spec.merged_rotation() != 0) {
    options["merged_rotation"] = spec.merged_rotation();
  }
  if (spec.format() == v1::FORMAT_INT4) {
    options["group_size"] = spec.group_size();
  }
  options["scale_search"] = cli_name(spec.scale_search());
  options["act_order"] = spec.act_order();
  options["damping"] = spec.damping();
  if (mixture) {
    options["least_expert_share"] = spec.least_expert_share();
  }
  options["propagate"] = cli_name(spec.propagate());
  options["sequential"] = cli_name(spec.sequential());
  options["layout"] = cli_name(spec.layout());
  options["ignore"] = std::vector<std::string>(spec.ignore().begin(), spec.ignore().end());
  ordered_json overrides = ordered_json::array();
  for (const v1::Override& change : spec.overrides()) {
    ordered_json entry;
    entry["pattern"] = change.pattern();
    if (change.method() != v1::METHOD_UNSPECIFIED) {
      entry["method"] = cli_name(change.method());
    }
    if (change.scale_search() != v1::SCALE_SEARCH_UNSPECIFIED) {
      entry["scale_search"] = cli_name(change.scale_search());
    }
    if (change.has_act_order()) {
      entry["act_order"] = change.act_order();
    }
    if (change.has_damping()) {
      entry["damping"] = change.damping();
    }
    overrides.push_back(std::move(entry));
  }
  options["overrides"] = std::move(overrides);
  options["sequences"] = spec.calibration().sequences();
  options["seq_len"] = spec.calibration().seq_len();
  options["seed"] = spec.calibration().seed();
  options["calibration_mode"] = cli_name(spec.calibration().mode());
  options["calibration_digest"] = job.calibration_digest;
  options["lanes"] = spec.plan().lanes();
  options["micro_batch_sequences"] = spec.plan().micro_batch_sequences();
  return options;
}

ordered_json module_json(const v1::ModuleReport& module) {
  ordered_json entry;
  entry["name"] = module.name();
  entry["method"] = module.method();
  entry["relative_error"] = module.relative_error();
  entry["rtn_relative_error"] = module.rtn_relative_error();
  entry["damping"] = module.damping();
  entry["rotation"] = module.rotation();
  entry["tokens"] = module.tokens();
  ordered_json fallbacks = ordered_json::array();
  for (const v1::Fallback& fallback : module.fallbacks()) {
    fallbacks.push_back(ordered_json{{"kind", fallback.kind()}, {"detail", fallback.detail()}});
  }
  entry["fallbacks"] = std::move(fallbacks);
  return entry;
}

}  // namespace

std::string report_file(const JobRecord& job, const PreparedJob& prepared,
                        const std::vector<LayerRecord>& layers) {
  std::map<std::string, const v1::ModuleReport*> modules;
  for (const LayerRecord& layer : layers) {
    for (const v1::ModuleReport& module : layer.report.modules()) {
      modules[module.name()] = &module;
    }
  }
  ordered_json report;
  report["algorithm_version"] = job.algorithm_version;
  const bool mixture = prepared.plan.architecture.config.routing.experts > 0;
  report["options"] = options_json(job, mixture);
  report["serving_modes"] = serving_modes(job.spec, layers);
  ordered_json list = ordered_json::array();
  for (const QuantizedModule& module : prepared.info.modules) {
    if (const auto found = modules.find(module.name); found != modules.end()) {
      list.push_back(module_json(*found->second));
    }
  }
  report["modules"] = std::move(list);
  return report.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace rotor::coordinator
