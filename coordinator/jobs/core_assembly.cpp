#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/assemble/assembler.h"
#include "coordinator/jobs/core.h"
#include "coordinator/jobs/reasons.h"
#include "coordinator/jobs/source_check.h"
#include "coordinator/staging/damaged_layer.h"
#include "coordinator/staging/owned_directory.h"

namespace rotor::coordinator {

bool Core::assemble_next() {
  clean_up();
  AssemblyInput input;
  std::shared_ptr<std::atomic<bool>> stop;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [this](const auto& entry) {
      const OpenJob& job = *entry.second;
      return !job.unstored_stop && job.record.state == v1::JOB_STATE_FINALIZING &&
             clock_.monotonic() >= job.retry_at;
    });
    if (stopped_ || found == jobs_.end()) {
      return false;
    }
    OpenJob& job = *found->second;
    job.assembling = true;
    input.job = job.record;
    input.prepared = job.prepared;
    stop = job.stop_assembly;
  }
  const int64_t begin = steady_us();
  const Result<AssemblyResult> result = run_assembly(&input, *stop);
  finish_assembly(input.job, result, steady_us() - begin);
  return true;
}

Result<AssemblyResult> Core::run_assembly(AssemblyInput* input, const std::atomic<bool>& stop) {
  ROTOR_ASSIGN_OR_RETURN(const SourceLook look, look_at_source(input->job, !input->prepared));
  if (look.prepared) {
    input->prepared = look.prepared;
  }
  ROTOR_ASSIGN_OR_RETURN(input->layers, store_->layers(input->job.sequence));
  input->staging = staging_.job_directory(input->job.id);
  AssemblyHooks hooks;
  hooks.stopped = [&stop] { return stop.load(); };
  hooks.before_publish = [this, input](const std::string& identity) {
    return begin_publishing(input->job.sequence, identity);
  };
  Result<AssemblyResult> result = assemble_checkpoint(fs_, *input, hooks);
  if (concerns_source(input->job, result.status())) {
    // The source may have gone, or changed, under the assembly's hands.
    ROTOR_RETURN_IF_ERROR(check_source(fs_, input->job).status());
    if (result.status().reason() == kSourceChanged) {
      return aborted(input->job.name() +
                     ": a file of the source was touched while it was copied; "
                     "its content is the same, so it is copied again");
    }
  }
  return result;
}

Status Core::begin_publishing(int64_t sequence, const std::string& identity) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(sequence);
  if (found == jobs_.end() || *found->second->stop_assembly ||
      found->second->record.state != v1::JOB_STATE_FINALIZING) {
    return cancelled("the job was stopped while its checkpoint was put together");
  }
  OpenJob& job = *found->second;
  ROTOR_RETURN_IF_ERROR(change(job, Publishing{identity}));
  job.publishing = true;
  return {};
}

void Core::finish_assembly(const JobRecord& record, const Result<AssemblyResult>& result,
                           int64_t took_us) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(record.sequence);
  if (found == jobs_.end()) {
    return;  // cancelled meanwhile
  }
  OpenJob& job = *found->second;
  job.assembling = false;
  job.publishing = false;
  if (result.ok()) {
    succeed(job, *result, took_us);
  } else {
    assembly_failed(job, result.status());
  }
  published_.notify_all();
}

void Core::succeed(OpenJob& job, const AssemblyResult& result, int64_t took_us) {
  const auto write = [&](StoreWriter& writer, JobRecord& record) {
    v1::JobEvent event;
    event.mutable_assembled()->set_output(record.output_path);
    event.mutable_assembled()->set_bytes(result.bytes);
    event.mutable_assembled()->set_files(result.files);
    return writer.append_event(&record, std::move(event));
  };
  Status saved = change(job, Assembled{took_us, result.bytes}, write);
  if (saved.ok()) {
    saved = stop_job(job, v1::JOB_STATE_SUCCEEDED, {});
  }
  if (!saved.ok()) {
    // The checkpoint is there; the next try finds it and needs the store alone.
    spdlog::error("{}: {}", job.record.name(), saved.to_string());
    job.retry_at = clock_.monotonic() + kRetryAfter;
  }
}

void Core::assembly_failed(OpenJob& job, const Status& status) {
  if (status.code() == Code::kCancelled) {
    return;
  }
  spdlog::warn("{}: putting the checkpoint together failed: {}", job.record.name(),
               status.to_string());
  const auto layer = status.details().find("layer");
  if (status.reason() == kStagedLayerDamaged && layer != status.details().end()) {
    lose_layer(job, std::atoi(layer->second.c_str()), status);
  } else if (status.reason() == kDiskFull) {
    pause_for_disk(job, status);
  } else if (is_source_reason(status.reason())) {
    pause_for_source(job, status);
  } else if (is_output_blocked(status.reason())) {
    pause_job(job, status);
  } else if (status.code() == Code::kAborted) {
    job.retry_at = clock_.monotonic() + kRetryAfter;
  } else {
    const bool final =
        status.code() != Code::kUnavailable && status.code() != Code::kResourceExhausted;
    job.retry_at = clock_.monotonic() + kRetryAfter;
    count_failure(job, status, final);
  }
}

void Core::clean_up() {
  std::vector<Cleanup> cleanups;
  {
    const std::lock_guard lock(mutex_);
    cleanups.swap(cleanups_);
  }
  for (const Cleanup& cleanup : cleanups) {
    Status removed = cleanup.keep_staging ? Status() : staging_.remove_job(cleanup.job_id);
    if (!cleanup.partial.empty()) {
      const Status partial =
          remove_owned_directory(fs_, cleanup.partial, {cleanup.job_id, cleanup.identity});
      removed = removed.ok() ? partial : removed;
    }
    // What is another's is none of this job's: it is left alone for good.
    removed = removed.reason() == kNotThisJobs ? Status() : removed;
    if (removed.ok() && !cleanup.keep_staging) {
      removed =
          store_->write([&](StoreWriter& writer) { return writer.delete_cleanup(cleanup.job_id); });
    }
    if (!removed.ok()) {
      spdlog::warn("{}; it is tried again at the next start", removed.to_string());
    }
  }
}

}  // namespace rotor::coordinator
