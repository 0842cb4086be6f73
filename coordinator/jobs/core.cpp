#include "coordinator/jobs/core.h"

#include <spdlog/spdlog.h>

#include "coordinator/jobs/output_path.h"
#include "proto/convert.h"
#include "proto/errors.h"

namespace rotor::coordinator {
namespace {

constexpr std::string_view kNamePrefix = "jobs/";

/// What the store and SQLite need besides the tensors, so that a resumed job does not stop at once.
constexpr int64_t kStoreMargin = int64_t{16} << 20;

}  // namespace

Core::Core(FileSystem& fs, const Clock& clock, const CoordinatorOptions& options)
    : fs_(fs),
      clock_(clock),
      options_(options),
      staging_(&fs, join_path(options.state_dir, "staging")) {}

Result<std::unique_ptr<Core>> Core::open(FileSystem& fs, const Clock& clock,
                                         const CoordinatorOptions& options) {
  std::unique_ptr<Core> core(new Core(fs, clock, options));
  ROTOR_RETURN_IF_ERROR(create_directories(fs, core->staging_.directory()));
  ROTOR_ASSIGN_OR_RETURN(core->store_, JobStore::open(join_path(options.state_dir, "jobs.sqlite")));
  ROTOR_RETURN_IF_ERROR(core->take_up_jobs());
  return core;
}

Status Core::take_up_jobs() {
  ROTOR_ASSIGN_OR_RETURN(std::vector<JobRecord> records, store_->open_jobs());
  std::set<std::string> ids;
  for (JobRecord& record : records) {
    ids.insert(record.id);
    ROTOR_RETURN_IF_ERROR(take_up(std::move(record)));
  }
  return staging_.keep_jobs(ids);
}

Status Core::take_up(JobRecord record) {
  auto job = std::make_unique<OpenJob>();
  ROTOR_ASSIGN_OR_RETURN(std::vector<LayerRecord> layers, store_->layers(record.sequence));
  std::set<std::string> files;
  for (LayerRecord& layer : layers) {
    files.insert(layer.file);
    layer.report.Clear();
    const int32_t index = layer.layer;
    job->layers.emplace(index, std::move(layer));
  }
  // What an older lease left behind was never committed, so it does not exist.
  ROTOR_RETURN_IF_ERROR(staging_.prepare_job(record.id));
  ROTOR_RETURN_IF_ERROR(staging_.keep_files(record.id, files));
  spdlog::info("{} is {}: {} of {} layers committed", record.name(), state_name(record.state),
               record.committed_layers, record.layers);
  job->record = std::move(record);
  job->check_now = true;
  OpenJob& taken = *jobs_.emplace(job->record.sequence, std::move(job)).first->second;
  return finalize_if_complete(taken);
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

Status Core::save(OpenJob& job, JobRecord next,
                  const std::function<Status(StoreWriter&, JobRecord&)>& body) {
  next.update_us = clock_.wall_us();
  const Status stored = store_->write([&](StoreWriter& writer) -> Status {
    ROTOR_RETURN_IF_ERROR(body(writer, next));
    return writer.update_job(next);
  });
  ROTOR_RETURN_IF_ERROR(stored);
  job.record = std::move(next);
  hub_.notify();
  return {};
}

Status Core::change_state(OpenJob& job, v1::JobState state, const Status& cause) {
  JobRecord next = job.record;
  next.state = state;
  next.cause = cause.ok() ? v1::Cause() : to_cause(cause);
  ROTOR_RETURN_IF_ERROR(save(job, std::move(next), [](StoreWriter& writer, JobRecord& record) {
    v1::JobEvent event;
    event.mutable_state()->set_state(record.state);
    if (record.cause.code() != 0) {
      *event.mutable_state()->mutable_cause() = record.cause;
    }
    return writer.append_event(&record, std::move(event));
  }));
  spdlog::info("{} is {}{}", job.record.name(), state_name(state),
               cause.ok() ? "" : ": " + cause.to_string());
  poke();
  return {};
}

Status Core::stop_job(OpenJob& job, v1::JobState state, const Status& cause) {
  ROTOR_RETURN_IF_ERROR(change_state(job, state, cause));
  const std::string reason = state_name(state);
  while (!job.leases.empty()) {
    // A job that succeeded has a lease left only where ShardFinished is still on its way.
    end_lease(job, job.leases.begin()->first, reason, state != v1::JOB_STATE_SUCCEEDED);
  }
  if (job.record.ended()) {
    *job.stop_assembly = true;
    garbage_.push_back({job.record.id, state == v1::JOB_STATE_SUCCEEDED
                                           ? ""
                                           : partial_output(job.record.output_path)});
    jobs_.erase(job.record.sequence);  // `job` is gone from here on
  }
  return {};
}

void Core::fail_job(OpenJob& job, const Status& cause) {
  const std::string name = job.record.name();
  if (const Status stopped = stop_job(job, v1::JOB_STATE_FAILED, cause); !stopped.ok()) {
    spdlog::error("{} cannot be marked FAILED: {}; its cause was: {}", name, stopped.to_string(),
                  cause.to_string());
  }
}

void Core::pause_job(OpenJob& job, const Status& cause) {
  if (const Status paused = stop_job(job, v1::JOB_STATE_PAUSED, cause); !paused.ok()) {
    spdlog::error("{} cannot be paused: {}; its cause was: {}", job.record.name(),
                  paused.to_string(), cause.to_string());
  }
}

void Core::pause_for_disk(OpenJob& job, const Status& cause) {
  if (job.record.state == v1::JOB_STATE_PAUSED) {
    return;
  }
  const bool finalizing = job.record.state == v1::JOB_STATE_FINALIZING;
  const int64_t needed =
      (finalizing ? job.record.estimate.output_bytes()
                  : job.record.estimate.staging_bytes() / std::max(job.record.layers, 1)) +
      kStoreMargin;
  const std::string path =
      finalizing ? parent_directory(job.record.output_path) : options_.state_dir;
  pause_job(job, resource_exhausted("no space left below " + path + ": " + std::to_string(needed) +
                                    " bytes are needed; the job goes on by itself when they are "
                                    "free (" +
                                    cause.message() + ")")
                     .with_reason("DISK_FULL")
                     .with_detail("path", path)
                     .with_detail("bytes_needed", std::to_string(needed)));
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
