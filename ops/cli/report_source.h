// What a command is to report on: a job that a coordinator knows, or a checkpoint's directory.
#pragma once

#include <string>

#include "ops/cli/options.h"
#include "proto/pages/report_facts.h"
#include "quant/base/status.h"

namespace rotor::cli {

/// The facts of the checkpoint in `directory`. Errors: those of opening it;
/// INVALID_ARGUMENT, reason NO_REPORT, for one that Rotor did not write.
Result<ReportFacts> facts_of_checkpoint(const std::string& directory);

/// The same of a directory or of a job, by what `what` is.
Result<ReportFacts> facts_of(const std::string& what, const ServiceOptions& service);

/// Adds what `rotor eval -o json` wrote to `path`.
Status add_evaluation_file(const std::string& path, ReportFacts* facts);

/// Writes a page and says where, or as JSON {"html": path}.
int write_page(const std::string& path, const std::string& page, Console& console);

}  // namespace rotor::cli
