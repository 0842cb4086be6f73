// What can be known of a job before any work: that its paths lie below the roots, the model and the
// calibration can be read and fit, the plan can be carried out and the output can be written.
//
// Thread-safety: plain functions. Cost: the model's headers and the tokenization of as much of the
// calibration files as is used; memory is their token ids.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/options.h"
#include "coordinator/store/records.h"

namespace rotor::coordinator {

struct Validation {
  /// Everything that follows from spec and files; complete only without problems.
  JobRecord record;
  std::shared_ptr<const PreparedJob> prepared;
  /// All that was found, the first being what a submit fails with.
  std::vector<Status> problems;
};

/// `cancelled` is asked before each file: CANCELLED is then a problem.
Validation validate_job(FileSystem& fs, const CoordinatorOptions& options,
                        const v1::JobSpec& request, const std::function<bool()>& cancelled);

/// Every field in which two specs differ, as "field: before -> now", in field order.
std::vector<std::string> spec_differences(const v1::JobSpec& before, const v1::JobSpec& now);

}  // namespace rotor::coordinator
