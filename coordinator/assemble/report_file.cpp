#include "coordinator/assemble/report_file.h"

#include <nlohmann/json.hpp>

#include "proto/json.h"

namespace rotor::coordinator {

std::string report_file(const JobRecord& job, const ReportFacts& facts, const Unread& unread) {
  Json report;
  report["algorithm_version"] = job.algorithm_version;
  report["options"] = byte_options(job);
  report["serving_modes"] = facts.serving_modes;
  report["copied_tensors"] = unread.copied_tensors;
  report["left_behind"] = unread.left_behind;
  if (facts.perplexity) {
    report["perplexity"] = *facts.perplexity;
    report["perplexity_tokens"] = facts.perplexity_tokens;
  }
  report["modules"] = Json::array();
  for (const v1::ModuleReport& module : facts.modules) {
    report["modules"].push_back(message_json(module));
  }
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rotor::coordinator
