#include "coordinator/assemble/report_file.h"

#include <nlohmann/json.hpp>

#include "coordinator/assemble/model_card.h"
#include "model/served_plan.h"
#include "proto/json.h"
#include "proto/pages/report_page.h"
#include "quant/engines/serving.h"

namespace rotor::coordinator {
Json report_file(const JobRecord& job, const PreparedJob& prepared,
                 const std::vector<LayerRecord>& layers, const Unread& unread) {
  std::map<std::string, const v1::ModuleReport*> modules;
  for (const LayerRecord& layer : layers) {
    for (const v1::ModuleReport& module : layer.report.modules()) {
      modules[module.name()] = &module;
    }
  }
  Json report;
  report["algorithm_version"] = job.algorithm_version;
  report["options"] = byte_settings_json(job.spec);
  report["options"]["calibration_digest"] = job.calibration_digest;
  report["serving_modes"] = serving_lines(served_checkpoint(prepared.plan));
  report["copied_tensors"] = unread.copied_tensors;
  report["left_behind"] = unread.left_behind;
  if (job.perplexity) {
    report["perplexity"] = *job.perplexity;
    report["perplexity_tokens"] = job.perplexity_tokens;
  }
  Json list = Json::array();
  for (const QuantizedModule& module : prepared.info.modules) {
    if (const auto found = modules.find(module.name); found != modules.end()) {
      list.push_back(message_json(*found->second));
    }
  }
  report["modules"] = std::move(list);
  return report;
}

std::string report_text(const Json& file) {
  return file.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> report_html(const JobRecord& job, const PreparedJob& prepared,
                                const Json& file) {
  int64_t bytes = 0;
  for (const TensorSpec& tensor : prepared.checkpoint_tensors) {
    bytes += tensor.byte_size();
  }
  ROTOR_ASSIGN_OR_RETURN(const ReportFacts facts,
                         report_facts(checkpoint_title(job.spec), file, bytes));
  return report_page(facts);
}

}  // namespace rotor::coordinator
