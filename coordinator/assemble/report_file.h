// rotor_report.json of a checkpoint, and the same as a page: what was asked for and what came of
// each module. They depend on options and results alone: no times, hosts or job ids, so that two
// runs give the same bytes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/store/records.h"

namespace rotor::coordinator {

/// What a checkpoint took over without knowing it, and what it did not take over.
struct Unread {
  std::vector<std::string> copied_tensors;  // names
  std::vector<std::string> left_behind;     // files of the source
};

/// {"algorithm_version", "options": {...}, "serving_modes": [...], "copied_tensors": [...],
/// "left_behind": [...], "perplexity", "perplexity_tokens", "modules": [...]}: options are the
/// settings that decide bytes and "calibration_digest"; the perplexity is there where one was asked
/// for; a module is rotor.v1.ModuleReport; modules in model order.
nlohmann::ordered_json report_file(const JobRecord& job, const PreparedJob& prepared,
                                   const std::vector<LayerRecord>& layers, const Unread& unread);

/// The object as it is written.
std::string report_text(const nlohmann::ordered_json& file);

/// rotor_report.html, made of it.
Result<std::string> report_html(const JobRecord& job, const PreparedJob& prepared,
                                const nlohmann::ordered_json& file);

}  // namespace rotor::coordinator
