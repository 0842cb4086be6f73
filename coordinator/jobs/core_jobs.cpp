#include "coordinator/jobs/core.h"
#include "coordinator/jobs/page_token.h"
#include "coordinator/jobs/reasons.h"
#include "coordinator/jobs/report.h"
#include "coordinator/jobs/source_check.h"
#include "proto/convert.h"

namespace rotor::coordinator {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kLargestPage = 1000;
constexpr int kWatchBatch = 256;

Status bad_state(const JobRecord& record, const std::string& what) {
  return failed_precondition(record.name() + " is " + state_name(record.state) + ": " + what)
      .with_reason("BAD_STATE")
      .with_detail("job", record.name())
      .with_detail("state", state_name(record.state));
}

}  // namespace

Result<v1::Job> Core::get(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return look_up(name);
}

Result<v1::Job> Core::look_up(const std::string& name) const {
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  return show(record);
}

v1::Job Core::show(const JobRecord& record) const {
  v1::Job job = record.to_proto();
  if (const auto open = jobs_.find(record.sequence); open != jobs_.end()) {
    if (const std::optional<double> left = open->second->seconds_left()) {
      job.set_seconds_left(*left);
    }
    job.set_tokens_per_second(open->second->tokens_per_second());
  }
  return job;
}

Result<v1::ListJobsResponse> Core::list(const v1::ListJobsRequest& request) {
  if (request.page_size() < 0) {
    return invalid_argument("page_size " + std::to_string(request.page_size()) +
                            " is negative; give 1 to 1000, or 0 for 50")
        .with_reason("BAD_PAGE_SIZE");
  }
  std::vector<v1::JobState> states;
  for (const int value : request.states()) {
    if (!v1::JobState_IsValid(value) || value == v1::JOB_STATE_UNSPECIFIED) {
      return invalid_argument("states: " + std::to_string(value) + " is no state of a job")
          .with_reason("BAD_STATE_FILTER");
    }
    states.push_back(static_cast<v1::JobState>(value));
  }
  const int size =
      request.page_size() == 0 ? kDefaultPage : std::min(request.page_size(), kLargestPage);
  ROTOR_ASSIGN_OR_RETURN(const int64_t before, parse_page_token(request.page_token(), states));
  ROTOR_ASSIGN_OR_RETURN(const JobPage page, store_->list(before, size, states));
  v1::ListJobsResponse response;
  const std::lock_guard lock(mutex_);
  for (const JobRecord& record : page.jobs) {
    *response.add_jobs() = show(record);
  }
  if (page.more) {
    response.set_next_page_token(make_page_token(page.jobs.back().sequence, states));
  }
  return response;
}

Result<v1::Job> Core::cancel(const std::string& name) {
  std::unique_lock lock(mutex_);
  while (true) {
    const Result<OpenJob*> found = find_open(name);
    if (!found.ok()) {
      return cancel_ended(name, found.status());
    }
    if (!(*found)->publishing) {
      ROTOR_RETURN_IF_ERROR(stop_job(**found, v1::JOB_STATE_CANCELLED, {}));
      return look_up(name);
    }
    if (stopped_) {
      return unavailable("the coordinator stops; ask again").with_reason("STOPPING");
    }
    // The rename that makes the checkpoint visible is under way: in a moment the job has ended.
    published_.wait(lock);
  }
}

Result<v1::Job> Core::cancel_ended(const std::string& name, const Status& ended) {
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  ROTOR_ASSIGN_OR_RETURN(JobRecord record, store_->job(id));
  if (record.state == v1::JOB_STATE_FAILED) {
    OpenJob job;
    job.record = std::move(record);
    ROTOR_RETURN_IF_ERROR(change_with_reserve(job, Stopped{v1::JOB_STATE_CANCELLED, {}}));
    return job.record.to_proto();
  }
  return record.state == v1::JOB_STATE_CANCELLED ? Result<v1::Job>(record.to_proto())
                                                 : Result<v1::Job>(ended);
}

Result<v1::Job> Core::pause(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_open(name));
  const Status cause =
      cancelled("paused on request; resume it when you like").with_reason(kPausedByUser);
  if (job->record.state == v1::JOB_STATE_FINALIZING) {
    return bad_state(job->record,
                     "its checkpoint is being put together, which only a cancel stops");
  }
  if (job->unstored_stop) {
    return resource_exhausted(job->record.name() + " is to be " +
                              state_name(job->unstored_stop->state) +
                              " already, which cannot be stored yet: the state's disk is full")
        .with_reason(kDiskFull)
        .with_detail("job", job->record.name());
  }
  if (job->record.cause.reason() != cause.reason()) {
    ROTOR_RETURN_IF_ERROR(change_with_reserve(*job, Stopped{v1::JOB_STATE_PAUSED, cause}));
    finish_layers(*job);
  }
  return job->record.to_proto();
}

void Core::finish_layers(OpenJob& job) {
  for (auto& [fence, lease] : job.leases) {
    lease.finishing = true;
    if (const auto group = groups_.find(lease.group); group != groups_.end()) {
      v1::CoordinatorMessage message;
      message.mutable_finish_layer()->set_job(job.record.name());
      message.mutable_finish_layer()->set_fence(fence);
      group->second.outbox->push(std::move(message));
    }
  }
}

Result<v1::Job> Core::resume(const std::string& name, const Submitter& submitter) {
  JobRecord record;
  {
    const std::lock_guard lock(mutex_);
    ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
    ROTOR_ASSIGN_OR_RETURN(record, store_->job(id));
    ROTOR_RETURN_IF_ERROR(check_resumable(record));
  }
  const Status source = check_source(fs_, record).status();
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_resumable(name, submitter));
  if (is_source_reason(source.reason()) && job->record.state == v1::JOB_STATE_PAUSED) {
    pause_for_source(*job, source);
  }
  Status resumed = source;
  if (resumed.ok()) {
    job->source_troubles = 0;
    job->retry_at = {};
    const bool stopped =
        job->record.state == v1::JOB_STATE_PAUSED || job->record.state == v1::JOB_STATE_FAILED;
    resumed = stopped ? unpause(*job) : Status();
  }
  if (!resumed.ok() && job->record.ended()) {
    jobs_.erase(job->record.sequence);  // it stays as it was
  }
  ROTOR_RETURN_IF_ERROR(resumed);
  return job->record.to_proto();
}

Status Core::check_resumable(const JobRecord& record) const {
  if (record.state == v1::JOB_STATE_FAILED && record.cause.reason() == kTooManyFallbacks) {
    return failed_precondition(record.name() + " has more fallbacks than its " +
                               "limits.max_fallback_share allows, so it would fail again; submit "
                               "the model with a higher limit, or cancel the job")
        .with_reason(kTooManyFallbacks)
        .with_detail("job", record.name());
  }
  if (record.state != v1::JOB_STATE_PAUSED && record.state != v1::JOB_STATE_FAILED) {
    return bad_state(record, "only a job that is paused or has failed can be resumed");
  }
  return {};
}

Result<OpenJob*> Core::find_resumable(const std::string& name, const Submitter& submitter) {
  const Result<OpenJob*> open = find_open(name);
  if (open.ok()) {
    return *open;
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  ROTOR_ASSIGN_OR_RETURN(JobRecord record, store_->job(id));
  if (record.state != v1::JOB_STATE_FAILED) {
    return open.status();
  }
  // Another job may have been given its place since, or have ended there.
  ROTOR_RETURN_IF_ERROR(check_output_unused(record.output_path));
  ROTOR_RETURN_IF_ERROR(already_published(fs_, record).status());
  if (submitter.owner == record.owner) {
    ROTOR_RETURN_IF_ERROR(check_quota(submitter));
  }
  return load(std::move(record));
}

Status Core::unpause(OpenJob& job) {
  job.source_checked = false;
  job.lost_leases = 0;
  return change(job, Resumed{});
}

Status Core::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  if (!record.ended()) {
    return bad_state(record, "only a job that has ended can be deleted; cancel it first");
  }
  ROTOR_ASSIGN_OR_RETURN(const Outcome outcome, apply_change(record, Deleted{}));
  const Status stored = store_->write([&](StoreWriter& writer) -> Status {
    if (outcome.cleanup) {
      ROTOR_RETURN_IF_ERROR(writer.put_cleanup(*outcome.cleanup));
    }
    return writer.delete_job(record.sequence);
  });
  ROTOR_RETURN_IF_ERROR(stored);
  if (outcome.cleanup) {
    cleanups_.push_back(*outcome.cleanup);
    poke();
  }
  hub_.notify();
  return {};
}

Result<v1::Report> Core::report(const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<LayerRecord> layers, store_->layers(record.sequence));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<LeaseRecord> leases, store_->leases(record.sequence));
  return build_report(record, layers, leases, steady_us());
}

Result<WatchBatch> Core::watch(const std::string& name, int64_t revision,
                               std::chrono::milliseconds timeout) {
  if (revision < 0) {
    return invalid_argument("from_revision " + std::to_string(revision) + " is negative")
        .with_reason("BAD_REVISION");
  }
  if (hub_.stopped()) {
    return unavailable("the coordinator stops; watch again from revision " +
                       std::to_string(revision))
        .with_reason("STOPPING");
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  const int64_t seen = hub_.generation();
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  WatchBatch batch;
  ROTOR_ASSIGN_OR_RETURN(batch.events, store_->events(record.sequence, revision, kWatchBatch));
  const int64_t last =
      batch.events.empty() ? std::max<int64_t>(revision, 1) - 1 : batch.events.back().revision();
  batch.ended = record.ended() && last >= record.revision;
  if (batch.events.empty() && !batch.ended) {
    hub_.wait_past(seen, timeout);
  }
  return batch;
}

}  // namespace rotor::coordinator
