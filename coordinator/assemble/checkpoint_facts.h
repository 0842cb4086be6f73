// What the files beside a checkpoint tell of it (rotor_report.json, rotor_report.html, README.md),
// taken once from what the coordinator knows. It depends on options and results alone: no times,
// hosts or job ids, so that two runs give the same bytes.
//
// Thread-safety: a pure function.
#pragma once

#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/store/records.h"
#include "proto/pages/report_facts.h"

namespace rotor::coordinator {

/// Named after the last part of the model's path and the format: "llama-70b, nvfp4". The modules
/// are those that are quantized.
ReportFacts checkpoint_facts(const JobRecord& job, const PreparedJob& prepared,
                             const std::vector<LayerRecord>& layers);

/// The settings that decide bytes, and "calibration_digest".
nlohmann::ordered_json byte_options(const JobRecord& job);

/// "llama-70b".
std::string model_name(const v1::JobSpec& spec);

}  // namespace rotor::coordinator
