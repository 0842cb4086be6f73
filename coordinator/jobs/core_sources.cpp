#include <spdlog/spdlog.h>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/reasons.h"
#include "coordinator/jobs/source_check.h"

namespace rotor::coordinator {
namespace {

bool waits_for_source(const JobRecord& record) {
  return record.state == v1::JOB_STATE_PAUSED && record.cause.reason() == kSourceUnreadable;
}

}  // namespace

OpenJob* Core::next_to_check(const Offer& offer) {
  if (offer.job != nullptr && !offer.job->source_checked) {
    return offer.job;
  }
  const Clock::Time now = clock_.monotonic();
  for (const auto& [sequence, job] : jobs_) {
    const bool due = (job->check_now && !job->source_checked && job->wants_workers()) ||
                     waits_for_source(job->record);
    if (due && now >= job->retry_at) {
      return job.get();
    }
  }
  return nullptr;
}

Result<Core::SourceLook> Core::look_at_source(const JobRecord& record, bool prepare) {
  SourceLook look;
  ROTOR_ASSIGN_OR_RETURN(look.digest, check_source(fs_, record));
  if (!prepare) {
    return look;
  }
  const Result<ModelFiles> model = open_model(fs_, record.model_path);
  if (!model.ok()) {
    return as_source_error(record, record.model_path, "the model", model.status());
  }
  ROTOR_ASSIGN_OR_RETURN(look.prepared, prepare_job(record.spec, *model));
  return look;
}

void Core::note_source(int64_t sequence, const Result<SourceLook>& look) {
  const auto found = jobs_.find(sequence);
  if (found == jobs_.end()) {
    return;  // it ended meanwhile
  }
  OpenJob& job = *found->second;
  if (is_source_reason(look.status().reason())) {
    if (job.wants_workers() || waits_for_source(job.record)) {
      pause_for_source(job, look.status());
    }
    return;
  }
  if (look.ok()) {
    if (look->prepared) {
      job.prepared = look->prepared;
    }
    Status resumed;
    if (waits_for_source(job.record)) {
      resumed = unpause(job);
    }
    if (resumed.ok()) {
      job.source_digest = look->digest;
      job.source_checked = true;
      job.check_now = false;
      return;
    }
  }
  spdlog::warn("{}: its source cannot be looked at, trying again: {}", job.record.name(),
               look.status().to_string());
  job.retry_at = clock_.monotonic() + kRetryAfter;
}

void Core::pause_for_source(OpenJob& job, const Status& cause) {
  const bool known = job.record.state == v1::JOB_STATE_PAUSED &&
                     job.record.cause.reason() == cause.reason() &&
                     job.record.cause.message() == cause.message();
  if (!known) {
    // A source that comes and goes must not make the job start and stop at its pace.
    ++job.source_troubles;
    pause_job(job, cause);
  }
  job.retry_at = clock_.monotonic() + retry_pause(job.source_troubles);
}

void Core::worker_source_failed(OpenJob& job, const Status& cause, const std::string& worker) {
  const bool changed =
      cause.reason() == kSourceChanged || cause.code() == Code::kFailedPrecondition;
  if (changed && job.source_troubles == 0) {
    // A touched file looks changed to whoever has it open; its content has been compared since.
    ++job.source_troubles;
    spdlog::warn("{}: {} saw a file change whose content is the same, going on: {}",
                 job.record.name(), worker, cause.message());
    return;
  }
  const std::string message = worker + ": " + cause.message();
  if (changed) {
    pause_for_source(
        job, failed_precondition(message + "; this coordinator reads what the job was "
                                           "submitted with: mend that host, then resume the job")
                 .with_reason(kSourceChanged)
                 .with_detail("worker", worker)
                 .with_detail("job", job.record.name()));
  } else {
    pause_for_source(
        job, unavailable(message + "; this coordinator can read it: the job is tried again by "
                                   "itself, at growing intervals")
                 .with_reason(kSourceUnreadable)
                 .with_detail("worker", worker)
                 .with_detail("job", job.record.name()));
  }
}

}  // namespace rotor::coordinator
