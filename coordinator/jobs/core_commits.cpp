#include <spdlog/spdlog.h>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/reasons.h"
#include "proto/errors.h"

namespace rotor::coordinator {

void Core::commit(int64_t group, const v1::CommitLayer& commit) {
  const Status status = commit_layer(group, commit);
  if (!status.ok()) {
    spdlog::warn("{}: layer {} is not committed: {}", commit.job(), commit.layer(),
                 status.to_string());
  }
  v1::CoordinatorMessage message;
  v1::LayerAccepted* accepted = message.mutable_accepted();
  accepted->set_job(commit.job());
  accepted->set_fence(commit.fence());
  accepted->set_layer(commit.layer());
  if (!status.ok()) {
    *accepted->mutable_refused() = to_cause(status);
  }
  const std::lock_guard lock(mutex_);
  if (Group* const holder = hear(group)) {
    holder->outbox->push(std::move(message));
  }
  settle_commit(group, commit, status);
}

Status Core::commit_layer(int64_t group, const v1::CommitLayer& commit) {
  std::shared_ptr<LayerStaging> staging;
  std::string file;
  {
    const std::lock_guard lock(mutex_);
    hear(group);
    ROTOR_ASSIGN_OR_RETURN(Lease* const lease, find_lease(commit.job(), commit.fence(), group));
    ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_open(commit.job()));
    ROTOR_RETURN_IF_ERROR(check_in_lease(*lease, commit.layer()));
    const auto found = lease->staging.find(commit.layer());
    if (found != lease->staging.end()) {
      staging = found->second;
      file = StagingArea::layer_file(commit.layer(), lease->fence);
    } else if (!job->prepared->layer_tensors[static_cast<size_t>(commit.layer())].empty()) {
      return failed_precondition("layer " + std::to_string(commit.layer()) +
                                 " is not complete: nothing of it has been put")
          .with_reason("INCOMPLETE_LAYER");
    } else {
      ROTOR_ASSIGN_OR_RETURN(staging, LayerStaging::create(fs_, "", {}));
    }
    ROTOR_RETURN_IF_ERROR(staging->check(commit));
    if (const auto committed = job->layers.find(commit.layer()); committed != job->layers.end()) {
      return check_again(*job, committed->second, commit);
    }
    ++lease->commits;
    lease->progressed = clock_.monotonic();
  }
  // The tensors first, the record after them: what the record names is always there.
  const Status published = staging->publish();
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Lease* const lease, find_lease(commit.job(), commit.fence(), group));
  --lease->commits;
  lease->staging.erase(commit.layer());
  if (!published.ok()) {
    staging->discard();
    return std::move(Status(published)).with_context("the layer could not be stored");
  }
  ROTOR_RETURN_IF_ERROR(check_in_lease(*lease, commit.layer()));
  return record_commit(commit, file);
}

Status Core::record_commit(const v1::CommitLayer& commit, const std::string& file) {
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_open(commit.job()));
  LayerRecord layer;
  layer.layer = commit.layer();
  layer.fence = commit.fence();
  layer.file = file;
  *layer.manifest.mutable_tensors() = commit.tensors();
  layer.report = commit.report();
  const LayerMade made{figures_of(commit.report()).fallbacks};
  const Status saved = change(*job, made, [&](StoreWriter& writer, JobRecord& record) -> Status {
    ROTOR_RETURN_IF_ERROR(writer.put_layer(record.sequence, layer));
    v1::JobEvent event;
    v1::LayerCommitted* committed = event.mutable_committed();
    committed->set_layer(layer.layer);
    committed->set_committed_layers(record.committed_layers);
    committed->set_layers(record.layers);
    committed->set_seconds(layer.report.seconds());
    return writer.append_event(&record, std::move(event));
  });
  ROTOR_RETURN_IF_ERROR(saved);
  spdlog::info("{}: layer {} committed, {} of {}", job->record.name(), layer.layer,
               job->record.committed_layers, job->record.layers);
  job->lost_leases = 0;
  job->source_troubles = 0;
  job->disk_troubles = 0;
  note_pace(*job, layer.report);
  if (observer_ != nullptr) {
    observer_->layer_committed(layer.report, job->record.estimate.calibration_tokens());
  }
  job->note_layer(std::move(layer));
  return {};
}

Status Core::check_again(OpenJob& job, const LayerRecord& committed,
                         const v1::CommitLayer& commit) {
  std::map<std::string, std::string> digests;
  for (const v1::TensorInfo& tensor : committed.manifest.tensors()) {
    digests[tensor.name()] = tensor.sha256();
  }
  for (const v1::TensorInfo& tensor : commit.tensors()) {
    if (digests[tensor.name()] != tensor.sha256()) {
      return data_loss("layer " + std::to_string(commit.layer()) + " of " + job.record.name() +
                       " came out with other bytes than the committed ones: tensor " +
                       tensor.name() + " had sha256 " + digests[tensor.name()] + ", now " +
                       tensor.sha256() + "; this must not happen: keep the job and report it")
          .with_reason(kNotDeterministic)
          .with_detail("layer", std::to_string(commit.layer()))
          .with_detail("tensor", tensor.name());
    }
  }
  return {};
}

void Core::settle_commit(int64_t group, const v1::CommitLayer& commit, const Status& status) {
  const Result<Lease*> found = find_lease(commit.job(), commit.fence(), group);
  const Result<OpenJob*> open = find_open(commit.job());
  if (!found.ok() || !open.ok()) {
    return;
  }
  Lease& lease = **found;
  OpenJob& job = **open;
  lease.staging.erase(commit.layer());
  if (status.ok()) {
    if (!job.has_open_layers(lease) && job.has_open_work(lease)) {
      lease.doing = "evaluating";
    }
    if (lease.shrunk && commit.layer() == lease.end - 1) {
      end_lease(job, lease.fence, "RECUT", true);
    }
    if (check_fallback_limit(job)) {
      if (const Status done = finalize_if_complete(job); !done.ok()) {
        spdlog::error("{}: {}", job.record.name(), done.to_string());
      }
    }
  } else if (status.reason() == kNotDeterministic) {
    fail_job(job, status);
  } else if (status.reason() == kDiskFull) {
    pause_for_disk(job, status);
  } else if (status.code() == Code::kUnavailable || status.code() == Code::kInternal) {
    // A failed write or fsync leaves nothing to build on: the layer is made again from its source.
    end_lease(job, lease.fence, "COMMIT_FAILED", true);
    count_failure(job, status, false);
  }
}

bool Core::check_fallback_limit(OpenJob& job) {
  const double limit = job.record.spec.limits().max_fallback_share();
  const auto modules = static_cast<double>(job.prepared->quantized_modules);
  if (static_cast<double>(job.record.fallbacks) <= limit * modules) {
    return true;
  }
  fail_job(job, failed_precondition(std::to_string(job.record.fallbacks) + " of " +
                                    std::to_string(job.prepared->quantized_modules) +
                                    " modules fell back, more than the share of " +
                                    std::to_string(limit) +
                                    " that limits.max_fallback_share allows; the report names "
                                    "them (`rotor report`)")
                    .with_reason(kTooManyFallbacks)
                    .with_detail("fallbacks", std::to_string(job.record.fallbacks)));
  return false;
}

Status Core::finalize_if_complete(OpenJob& job) {
  if (job.record.state != v1::JOB_STATE_RUNNING || !job.complete()) {
    return {};
  }
  return change(job, Completed{});
}

void Core::layer_lost(const std::string& job, int32_t layer, const Status& cause) {
  const std::lock_guard lock(mutex_);
  if (const Result<OpenJob*> found = find_open(job); found.ok()) {
    lose_layer(**found, layer, cause);
  }
}

void Core::lose_layer(OpenJob& job, int32_t layer, const Status& cause) {
  if (job.layers.count(layer) == 0) {
    return;
  }
  spdlog::error("{}: layer {} is damaged and made again: {}", job.record.name(), layer,
                cause.to_string());
  while (!job.leases.empty()) {
    end_lease(job, job.leases.begin()->first, "LAYER_LOST", true);
  }
  const Status saved = change(job, LayerDamaged{job.figures.at(layer).fallbacks, cause},
                              [layer](StoreWriter& writer, JobRecord& record) {
                                return writer.delete_layer(record.sequence, layer);
                              });
  if (!saved.ok()) {
    // It will be found damaged again.
    spdlog::error("{}: {}", job.record.name(), saved.to_string());
    if (saved.reason() == kDiskFull) {
      pause_for_disk(job, saved);
    }
    job.retry_at = clock_.monotonic() + kRetryAfter;
    return;
  }
  job.forget_layer(layer);
  poke();
}

}  // namespace rotor::coordinator
