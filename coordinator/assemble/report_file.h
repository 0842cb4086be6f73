// rotor_report.json of a checkpoint: what was asked for and what came of each module. It depends on
// options and results alone: no times, hosts or job ids, so that two runs give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/store/records.h"

namespace rotor::coordinator {

/// {"algorithm_version", "options": {...}, "serving_modes": [...], "modules": [...]}: options are
/// the settings that decide bytes and "calibration_digest"; a module is rotor.v1.ModuleReport;
/// modules in model order.
std::string report_file(const JobRecord& job, const PreparedJob& prepared,
                        const std::vector<LayerRecord>& layers);

}  // namespace rotor::coordinator
