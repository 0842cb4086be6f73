// A job's report, a list of jobs and one job, as aligned text for people. Pure functions,
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "ops/cli/console.h"
#include "rotor/v1/jobs.pb.h"

namespace rotor::cli {

/// Rows of cells as lines whose columns are aligned: numbers (cells of `right` columns) to the
/// right. The first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<bool>& right);

/// Modules with their errors. More than 40 are cut to the 10 with the largest error, and a line
/// says so, unless `all`.
std::string module_table(const v1::Report& report, bool all);

/// Time, fallbacks, phases, perplexity, the table of modules and where the checkpoint is.
std::string report_text(const v1::Report& report, bool all, const Console& console);

/// `now`: seconds since the epoch.
std::string jobs_table(const std::vector<v1::Job>& jobs, double now);
std::string job_text(const v1::Job& job, const Console& console);

}  // namespace rotor::cli
