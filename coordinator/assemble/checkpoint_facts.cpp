#include "coordinator/assemble/checkpoint_facts.h"

#include <map>
#include <nlohmann/json.hpp>

#include "model/served_plan.h"
#include "proto/enum_names.h"
#include "proto/json.h"
#include "quant/engines/serving.h"

namespace rotor::coordinator {

std::string model_name(const v1::JobSpec& spec) {
  std::string name = spec.model();
  while (name.size() > 1 && name.back() == '/') {
    name.pop_back();
  }
  return name.substr(name.rfind('/') + 1);
}

Json byte_options(const JobRecord& job) {
  Json options = byte_settings_json(job.spec);
  options["calibration_digest"] = job.calibration_digest;
  return options;
}

ReportFacts checkpoint_facts(const JobRecord& job, const PreparedJob& prepared,
                             const std::vector<LayerRecord>& layers) {
  std::map<std::string, const v1::ModuleReport*> modules;
  for (const LayerRecord& layer : layers) {
    for (const v1::ModuleReport& module : layer.report.modules()) {
      modules[module.name()] = &module;
    }
  }
  ReportFacts facts;
  facts.name = model_name(job.spec) + ", " + cli_name(job.spec.format());
  facts.settings = setting_texts(byte_options(job));
  for (const QuantizedModule& module : prepared.info.modules) {
    if (const auto found = modules.find(module.name); found != modules.end()) {
      facts.modules.push_back(*found->second);
    }
  }
  facts.serving_modes = serving_lines(served_checkpoint(prepared.plan));
  for (const TensorSpec& tensor : prepared.checkpoint_tensors) {
    facts.output_bytes += tensor.byte_size();
  }
  facts.perplexity = job.perplexity;
  facts.perplexity_tokens = job.perplexity_tokens;
  return facts;
}

}  // namespace rotor::coordinator
