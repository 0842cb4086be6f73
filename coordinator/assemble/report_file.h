// rotor_report.json of a checkpoint: what was asked for and what came of each module. It depends on
// options and results alone: no times, hosts or job ids, so that two runs give the same bytes.
#pragma once

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
/// "left_behind": [...], "modules": [...]}: options are the settings that decide bytes and
/// "calibration_digest"; a module is rotor.v1.ModuleReport; modules in model order.
std::string report_file(const JobRecord& job, const PreparedJob& prepared,
                        const std::vector<LayerRecord>& layers, const Unread& unread);

}  // namespace rotor::coordinator
