#include "coordinator/jobs/core.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/jobs/reasons.h"
#include "coordinator/jobs/state_guard.h"
#include "proto/convert.h"
#include "proto/errors.h"

namespace rotor::coordinator {
namespace {

constexpr std::string_view kNamePrefix = "jobs/";

}  // namespace

Core::Core(FileSystem& fs, const Clock& clock, const CoordinatorOptions& options)
    : fs_(fs),
      clock_(clock),
      options_(options),
      staging_(&fs, join_path(options.state_dir, "staging")),
      reserve_(&fs, options.state_dir) {}

Result<std::unique_ptr<Core>> Core::open(FileSystem& fs, const Clock& clock,
                                         const CoordinatorOptions& options) {
  std::unique_ptr<Core> core(new Core(fs, clock, options));
  Status opened = core->open_state();
  if (opened.reason() == kDiskFull && core->reserve_.give_back()) {
    opened = core->open_state();
  }
  ROTOR_RETURN_IF_ERROR(opened);
  if (const Status kept = core->reserve_.keep(); !kept.ok()) {
    spdlog::warn("no room is kept for a pause: {}", kept.to_string());
  }
  return core;
}

Status Core::open_state() {
  jobs_.clear();
  store_.reset();
  ROTOR_RETURN_IF_ERROR(check_store(fs_, options_.state_dir, staging_));
  ROTOR_ASSIGN_OR_RETURN(store_, JobStore::open(join_path(options_.state_dir, "jobs.sqlite")));
  ROTOR_ASSIGN_OR_RETURN(const int64_t last_steady_us, store_->last_steady_us());
  steady_origin_us_ = std::max(clock_.wall_us(), last_steady_us);
  steady_origin_ = clock_.monotonic();
  ROTOR_RETURN_IF_ERROR(note_opening(fs_, options_.state_dir, store_.get()));
  ROTOR_RETURN_IF_ERROR(create_directories(fs_, staging_.directory()));
  ROTOR_ASSIGN_OR_RETURN(cleanups_, store_->cleanups());
  recall_pace();
  return take_up_jobs();
}

Status Core::take_up_jobs() {
  ROTOR_ASSIGN_OR_RETURN(std::vector<JobRecord> records, store_->jobs_with_layers());
  std::set<std::string> known;
  for (const Cleanup& cleanup : cleanups_) {
    known.insert(cleanup.job_id);
  }
  for (JobRecord& record : records) {
    known.insert(record.id);
    if (record.ended()) {
      cleanups_.push_back(cleanup_of(record));
    } else {
      ROTOR_RETURN_IF_ERROR(take_up(std::move(record)));
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> staged, staging_.job_directories());
  for (const std::string& name : staged) {
    if (known.count(name) == 0) {
      spdlog::warn(
          "{} is of no job that this store knows as open or failed: it is kept; remove it if "
          "nobody misses it",
          staging_.job_directory(name));
    }
  }
  return {};
}

Status Core::take_up(JobRecord record) {
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, load(std::move(record)));
  return finalize_if_complete(*job);
}

Result<OpenJob*> Core::load(JobRecord record) {
  auto job = std::make_unique<OpenJob>();
  ROTOR_ASSIGN_OR_RETURN(std::vector<LayerRecord> layers, store_->layers(record.sequence));
  std::set<std::string> files;
  for (LayerRecord& layer : layers) {
    if (!layer.file.empty()) {
      files.insert(layer.file);
    }
    job->note_layer(std::move(layer));
  }
  ROTOR_RETURN_IF_ERROR(check_staging(fs_, staging_, record, !files.empty()));
  // What an older lease left behind was never committed, so it does not exist.
  ROTOR_RETURN_IF_ERROR(staging_.prepare_job(record.id));
  ROTOR_RETURN_IF_ERROR(staging_.keep_files(record.id, files));
  spdlog::info("{} is {}: {} of {} layers committed", record.name(), state_name(record.state),
               record.committed_layers, record.layers);
  job->record = std::move(record);
  job->check_now = true;
  return jobs_.emplace(job->record.sequence, std::move(job)).first->second.get();
}

Result<std::string> Core::id_of(const std::string& name) const {
  if (name.rfind(kNamePrefix, 0) != 0 || name.size() == kNamePrefix.size() || name.size() > 100) {
    return invalid_argument("no job is named '" + name.substr(0, 100) +
                            "'; names are like jobs/0123456789abcdef")
        .with_reason("BAD_NAME")
        .with_detail("job", name.substr(0, 100));
  }
  return name.substr(kNamePrefix.size());
}

Result<OpenJob*> Core::find_open(const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  for (const auto& [sequence, job] : jobs_) {
    if (job->record.id == id) {
      return job.get();
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  return failed_precondition(name + " has ended: it is " + state_name(record.state))
      .with_reason("JOB_ENDED")
      .with_detail("job", name)
      .with_detail("state", state_name(record.state));
}

Status Core::save(OpenJob& job, JobRecord next, const StoreWork& body) {
  next.update_us = clock_.wall_us();
  next.steady_us = steady_us();
  const Status stored = store_->write([&](StoreWriter& writer) -> Status {
    ROTOR_RETURN_IF_ERROR(body(writer, next));
    return writer.update_job(next);
  });
  ROTOR_RETURN_IF_ERROR(stored);
  job.record = std::move(next);
  hub_.notify();
  return {};
}

Status Core::change(OpenJob& job, const JobChange& change, const StoreWork& body) {
  ROTOR_ASSIGN_OR_RETURN(Outcome outcome, apply_change(job.record, change));
  const auto write = [&](StoreWriter& writer, JobRecord& record) -> Status {
    if (outcome.told) {
      v1::JobEvent event;
      *event.mutable_state() = *outcome.told;
      ROTOR_RETURN_IF_ERROR(writer.append_event(&record, std::move(event)));
    }
    if (outcome.cleanup && !outcome.cleanup->keep_staging) {
      ROTOR_RETURN_IF_ERROR(writer.put_cleanup(*outcome.cleanup));
    }
    return body ? body(writer, record) : Status();
  };
  ROTOR_RETURN_IF_ERROR(save(job, std::move(outcome.record), write));
  if (outcome.cleanup) {
    cleanups_.push_back(std::move(*outcome.cleanup));
  }
  if (outcome.told) {
    const Status cause = from_cause(outcome.told->cause());
    spdlog::info("{} is {}{}", job.record.name(), state_name(job.record.state),
                 cause.ok() ? "" : ": " + cause.to_string());
    poke();
  }
  return {};
}

Status Core::change_with_reserve(OpenJob& job, const JobChange& wanted) {
  Status changed = change(job, wanted);
  if (changed.reason() == kDiskFull && reserve_.give_back()) {
    spdlog::warn("{}: the state's disk is full; its reserve is given back", job.record.name());
    changed = change(job, wanted);
  }
  return changed;
}

Status Core::stop_job(OpenJob& job, v1::JobState state, const Status& cause) {
  ROTOR_RETURN_IF_ERROR(change_with_reserve(job, Stopped{state, cause}));
  const std::string reason = state_name(state);
  while (!job.leases.empty()) {
    // A job that succeeded has a lease left only where ShardFinished is still on its way.
    end_lease(job, job.leases.begin()->first, reason, state != v1::JOB_STATE_SUCCEEDED);
  }
  if (job.record.ended()) {
    *job.stop_assembly = true;
    jobs_.erase(job.record.sequence);  // `job` is gone from here on
  }
  return {};
}

void Core::stop_surely(OpenJob& job, v1::JobState state, const Status& cause) {
  const std::string name = job.record.name();
  job.unstored_stop.reset();
  const Status stopped = stop_job(job, state, cause);
  if (stopped.ok()) {
    return;
  }
  // Not an end: the job is held as it is, and nobody works on it until this can be written.
  spdlog::error("{} is to be {}, which cannot be stored yet: {}; its cause: {}", name,
                state_name(state), stopped.to_string(), cause.to_string());
  job.unstored_stop = OpenJob::Stop{state, cause};
  job.room_at = clock_.monotonic() + kRetryAfter;
  while (!job.leases.empty()) {
    end_lease(job, job.leases.begin()->first, state_name(state), true);
  }
}

void Core::retry_stops() {
  std::vector<OpenJob*> due;
  for (const auto& [sequence, job] : jobs_) {
    if (job->unstored_stop && clock_.monotonic() >= job->room_at) {
      due.push_back(job.get());
    }
  }
  for (OpenJob* const job : due) {
    const OpenJob::Stop stop = *job->unstored_stop;
    job->room_at = clock_.monotonic() + kRetryAfter;
    stop_surely(*job, stop.state, stop.cause);
  }
}

void Core::fail_job(OpenJob& job, const Status& cause) {
  stop_surely(job, v1::JOB_STATE_FAILED, cause);
}

void Core::pause_job(OpenJob& job, const Status& cause) {
  stop_surely(job, v1::JOB_STATE_PAUSED, cause);
}

void Core::pause_for_disk(OpenJob& job, const Status& cause) {
  if (job.record.state == v1::JOB_STATE_PAUSED || job.unstored_stop) {
    return;
  }
  const int64_t needed = job.next_bytes();
  const std::string path = job.next_directory(options_.state_dir);
  ++job.disk_troubles;
  job.room_at = clock_.monotonic() + retry_pause(job.disk_troubles);
  pause_job(job, resource_exhausted("no space left below " + path + ": " + std::to_string(needed) +
                                    " bytes are needed; the job goes on by itself when they are "
                                    "free (" +
                                    cause.message() + ")")
                     .with_reason(kDiskFull)
                     .with_detail("path", path)
                     .with_detail("bytes_needed", std::to_string(needed)));
}

int64_t Core::steady_us() const {
  return steady_origin_us_ +
         std::chrono::duration_cast<std::chrono::microseconds>(clock_.monotonic() - steady_origin_)
             .count();
}

void Core::poke() {
  work_hub_.notify();
}

void Core::wait_for_work(int64_t* seen, std::chrono::milliseconds timeout) {
  work_hub_.wait_past(*seen, timeout);
  *seen = work_hub_.generation();
}

void Core::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (auto& [id, group] : groups_) {
      // No Shutdown: that would send the workers home, and the next coordinator needs them.
      group.outbox->close();
    }
    for (auto& [sequence, job] : jobs_) {
      *job->stop_assembly = true;
    }
  }
  hub_.stop();
  work_hub_.stop();
  published_.notify_all();
}

}  // namespace rotor::coordinator
