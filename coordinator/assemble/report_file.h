// rotor_report.json of a checkpoint: what was asked for and what came of each module.
//
// Thread-safety: a pure function.
#pragma once

#include <string>
#include <vector>

#include "coordinator/assemble/checkpoint_facts.h"

namespace rotor::coordinator {

/// What a checkpoint took over without knowing it, and what it did not take over.
struct Unread {
  std::vector<std::string> copied_tensors;  // names
  std::vector<std::string> left_behind;     // files of the source
};

/// {"algorithm_version", "options": {...}, "serving_modes": [...], "copied_tensors": [...],
/// "left_behind": [...], "perplexity", "perplexity_tokens", "modules": [...]}: options are those of
/// byte_options(); the perplexity is there where one was asked for; a module is
/// rotor.v1.ModuleReport; modules in model order.
std::string report_file(const JobRecord& job, const ReportFacts& facts, const Unread& unread);

}  // namespace rotor::coordinator
