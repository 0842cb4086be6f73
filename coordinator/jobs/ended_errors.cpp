#include "coordinator/jobs/ended_errors.h"

#include <vector>

#include "coordinator/jobs/open_job.h"

namespace rotor::coordinator {

Result<std::map<int32_t, double>> EndedErrors::of(JobStore& store, const JobRecord& record) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = jobs_.find(record.sequence);
    if (known != jobs_.end() && known->second.revision == record.revision) {
      return known->second.errors;
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<LayerRecord> layers, store.layers(record.sequence));
  std::map<int32_t, double> errors;
  for (const LayerRecord& layer : layers) {
    errors[layer.layer] = figures_of(layer.report).mean_error;
  }
  const std::lock_guard lock(mutex_);
  jobs_.insert_or_assign(record.sequence, Known{record.revision, errors});
  if (jobs_.size() > kMostJobs) {
    jobs_.erase(jobs_.begin());
  }
  return errors;
}

}  // namespace rotor::coordinator
