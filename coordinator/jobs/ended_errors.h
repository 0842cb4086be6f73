// The mean errors of the layers of jobs that have ended, so that who looks at a job again does not
// have its reports read again.
//
// Thread-safety: every function from any thread; nobody waits for another's read. Errors: the
// store's. Cost: the first look reads the reports of all layers; of the kMostJobs newest jobs that
// were looked at, the errors are kept.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "coordinator/store/job_store.h"

namespace rotor::coordinator {

class EndedErrors {
 public:
  static constexpr size_t kMostJobs = 256;

  /// By layer. `record`, of a job that has ended, was read from the store just now.
  Result<std::map<int32_t, double>> of(JobStore& store, const JobRecord& record);

 private:
  struct Known {
    int64_t revision = 0;  // a job that is resumed gets another one
    std::map<int32_t, double> errors;
  };
  std::mutex mutex_;
  std::map<int64_t, Known> jobs_;  // by sequence
};

}  // namespace rotor::coordinator
