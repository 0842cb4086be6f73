#include <spdlog/spdlog.h>

#include <optional>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/reasons.h"
#include "coordinator/jobs/source_check.h"
#include "proto/convert.h"
#include "proto/errors.h"
#include "proto/transport/busy.h"
#include "proto/transport/random_hex.h"
#include "quant/base/plain_text.h"
#include "quant/base/text.h"

namespace rotor::coordinator {
namespace {

constexpr size_t kSessionBytes = 16;
constexpr int kMostModules = 4096;  // of one progress message

/// Whether a worker's error is the job's own (bad data, a changed model), so that another try would
/// end the same way.
bool is_final(const Status& cause) {
  switch (cause.code()) {
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
    case Code::kUnimplemented:
    case Code::kNotFound:
    case Code::kPermissionDenied:
      return true;
    default:
      return false;
  }
}

/// A network or a service that is away, or too busy, for a while: no fault of the job's.
bool is_passing(const Status& cause) {
  return cause.code() == Code::kUnavailable || is_busy(cause);
}

}  // namespace

Result<int64_t> Core::attach(const v1::Register& registration, std::shared_ptr<Outbox> outbox) {
  if (registration.algorithm_version() != kAlgorithmVersion) {
    return failed_precondition("worker " + registration.host() + " has algorithm version " +
                               std::to_string(registration.algorithm_version()) +
                               ", this coordinator " + std::to_string(kAlgorithmVersion) +
                               "; run the same release of both")
        .with_reason("VERSION_MISMATCH");
  }
  if (registration.group_id().empty() || registration.ranks() < 1) {
    return invalid_argument("a group registers with a group_id and at least one rank")
        .with_reason("BAD_REGISTRATION");
  }
  for (const std::string* text : {&registration.group_id(), &registration.host(),
                                  &registration.device(), &registration.version()}) {
    if (text->size() > kLongestWorkerText || !is_plain_text(*text)) {
      return invalid_argument("a group registers with names of at most " +
                              std::to_string(kLongestWorkerText) + " printable characters, not " +
                              printable(*text))
          .with_reason("BAD_REGISTRATION");
    }
  }
  const std::lock_guard lock(mutex_);
  if (stopped_) {
    return unavailable("the coordinator stops").with_reason("STOPPING");
  }
  for (const auto& [id, group] : groups_) {
    if (group.registration.group_id() == registration.group_id()) {
      // Its old stream is dead, although nobody has noticed yet. Closing it ends its lease.
      group.outbox->close();
    }
  }
  Group group;
  group.id = ++last_group_;
  group.registration = registration;
  ROTOR_ASSIGN_OR_RETURN(group.session, random_hex(kSessionBytes));
  group.outbox = std::move(outbox);
  group.heard = clock_.monotonic();
  group.attached = group.heard;
  v1::CoordinatorMessage message;
  message.mutable_registered()->set_heartbeat_seconds(options_.heartbeat_seconds);
  message.mutable_registered()->set_lease_seconds(options_.lease_seconds);
  group.outbox->push(std::move(message));
  spdlog::info("group {} attached: {}", group.id, group.describe());
  const int64_t id = group.id;
  groups_.emplace(id, std::move(group));
  poke();
  return id;
}

void Core::detach(int64_t group) {
  const std::lock_guard lock(mutex_);
  const auto found = groups_.find(group);
  if (found == groups_.end()) {
    return;
  }
  const Group& gone = found->second;
  spdlog::info("group {} is gone: {}", gone.id, gone.describe());
  const auto job = jobs_.find(gone.job);
  if (job != jobs_.end() && gone.draining) {
    end_lease(*job->second, gone.fence, "DRAINED", false);
  } else if (job != jobs_.end()) {
    lose_lease(*job->second, gone.fence, "WORKER_LOST");
  }
  groups_.erase(found);
}

Group* Core::hear(int64_t group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) {
    return nullptr;
  }
  found->second.heard = clock_.monotonic();
  return &found->second;
}

void Core::heartbeat(int64_t group, const v1::Heartbeat& heartbeat) {
  const std::lock_guard lock(mutex_);
  Group* const found = hear(group);
  if (found == nullptr) {
    return;
  }
  note_ranks(*found, heartbeat.ranks());
  const int64_t fence = heartbeat.fence();
  if (fence == 0) {
    if (found->settling) {
      found->settling = false;
      poke();
    }
    return;
  }
  if (fence != found->fence && fence != found->told_stale) {
    found->told_stale = fence;
    v1::CoordinatorMessage message;
    message.mutable_revoke()->set_job(heartbeat.job());
    message.mutable_revoke()->set_fence(fence);
    message.mutable_revoke()->set_reason("STALE");
    found->outbox->push(std::move(message));
  }
}

void Core::progress(int64_t group, const v1::Progress& progress) {
  const std::lock_guard lock(mutex_);
  hear(group);
  const Result<Lease*> lease = find_lease(progress.job(), progress.fence(), group);
  if (!lease.ok() || progress.layer() < (*lease)->first || progress.layer() >= (*lease)->end ||
      progress.modules_size() > kMostModules) {
    return;  // late news of a lease that is over, or more than a stage has
  }
  const Result<OpenJob*> job = find_open(progress.job());
  if (!job.ok()) {
    return;
  }
  (*lease)->progressed = clock_.monotonic();
  (*lease)->doing = "layer " + std::to_string(progress.layer()) + ", stage " +
                    std::to_string(progress.stage() + 1) + " of " +
                    std::to_string(progress.stages());
  const Status saved = save(**job, (*job)->record, [&](StoreWriter& writer, JobRecord& record) {
    v1::JobEvent event;
    v1::StageDone* stage = event.mutable_stage();
    stage->set_layer(progress.layer());
    stage->set_stage(progress.stage());
    stage->set_stages(progress.stages());
    *stage->mutable_modules() = progress.modules();
    return writer.append_event(&record, std::move(event));
  });
  if (!saved.ok()) {
    spdlog::warn("{}: {}", progress.job(), saved.to_string());
  }
}

void Core::shard_finished(int64_t group, const v1::ShardFinished& finished) {
  const std::lock_guard lock(mutex_);
  Group* const holder = hear(group);
  if (holder != nullptr) {
    holder->settling = false;
    poke();
  }
  const Result<Lease*> lease = find_lease(finished.job(), finished.fence(), group);
  const Result<OpenJob*> job = find_open(finished.job());
  if (!lease.ok() || !job.ok()) {
    return;  // the job ended, or the lease was taken away, while the message was on its way
  }
  if ((*lease)->evaluate && finished.has_perplexity() && (*job)->layers_committed()) {
    const Status saved =
        change(**job, Evaluated{finished.perplexity(), finished.perplexity_tokens()});
    if (!saved.ok()) {
      spdlog::error("{}: {}", finished.job(), saved.to_string());
    }
  }
  const bool paused = (*lease)->finishing;
  const bool unfinished = (*job)->has_open_work(**lease) && !paused;
  end_lease(**job, finished.fence(), paused ? "PAUSED" : "FINISHED", false);
  if (unfinished) {
    count_failure(**job,
                  internal_error("group " + std::to_string(group) +
                                 " says that its shard is finished, but layers or the evaluation "
                                 "are missing; its log may tell why")
                      .with_reason("SHARD_NOT_FINISHED"),
                  false);
  } else if (const Status done = finalize_if_complete(**job); !done.ok()) {
    spdlog::error("{}: {}", finished.job(), done.to_string());
  }
}

void Core::shard_failed(int64_t group, const v1::ShardFailed& failed) {
  const Status cause = from_cause(failed.cause());
  std::optional<JobRecord> suspect;
  {
    const std::lock_guard lock(mutex_);
    const Result<OpenJob*> job = find_open(failed.job());
    if (job.ok() && (is_final(cause) || concerns_source((*job)->record, cause))) {
      suspect = (*job)->record;
    }
  }
  // What looks like bad data may be another model's: the job is not given up before that is known.
  const Status source = suspect ? check_source(fs_, *suspect).status() : Status();
  const std::lock_guard lock(mutex_);
  Group* const holder = hear(group);
  if (holder != nullptr) {
    holder->settling = false;
    poke();
  }
  const Result<Lease*> lease = find_lease(failed.job(), failed.fence(), group);
  const Result<OpenJob*> job = find_open(failed.job());
  if (!lease.ok() || !job.ok()) {
    return;
  }
  const std::string worker = holder == nullptr ? "a group" : holder->describe();
  spdlog::warn("{}: group {} failed: {}", failed.job(), group, cause.to_string());
  end_lease(**job, failed.fence(), "SHARD_FAILED", false);
  if (is_source_reason(source.reason())) {
    pause_for_source(**job, source);
  } else if (concerns_source((*job)->record, cause)) {
    worker_source_failed(**job, cause, worker);
  } else if (cause.reason() == kDiskFull) {
    pause_for_disk(**job, cause);
  } else if (is_passing(cause)) {
    count_lost_lease(**job, "SHARD_FAILED", worker + " gave up: " + cause.message());
  } else {
    count_failure(**job, cause, is_final(cause));
  }
}

void Core::count_failure(OpenJob& job, const Status& cause, bool final) {
  const Status saved = change(job, WorkFailed{});
  if (!saved.ok()) {
    spdlog::error("{}: {}", job.record.name(), saved.to_string());
  }
  if (final || job.record.failures >= kMostFailures) {
    fail_job(job, cause);
  }
}

void Core::draining(int64_t group, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (Group* const found = hear(group)) {
    found->draining = true;
    spdlog::info("group {} drains: {}", group, reason);
  }
}

Result<std::shared_ptr<LayerStaging>> Core::open_upload(const v1::PutHeader& header) {
  const std::lock_guard lock(mutex_);
  ROTOR_ASSIGN_OR_RETURN(Lease* const lease,
                         find_own_lease(header.job(), header.fence(), header.session()));
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_open(header.job()));
  ROTOR_RETURN_IF_ERROR(check_in_lease(*lease, header.layer()));
  std::shared_ptr<LayerStaging>& staging = lease->staging[header.layer()];
  if (!staging) {
    Result<std::shared_ptr<LayerStaging>> created = LayerStaging::create(
        fs_,
        staging_.layer_path(job->record.id, StagingArea::layer_file(header.layer(), lease->fence)),
        job->prepared->layer_tensors[static_cast<size_t>(header.layer())]);
    if (!created.ok()) {
      lease->staging.erase(header.layer());
      return created.status();
    }
    staging = std::move(created).value();
  }
  return staging;
}

Status Core::check_in_lease(const Lease& lease, int32_t layer) const {
  if (layer >= lease.first && layer < lease.end) {
    return {};
  }
  return failed_precondition("layer " + std::to_string(layer) + " is not in the lease with fence " +
                             std::to_string(lease.fence) + " (layers " +
                             std::to_string(lease.first) + " to " + std::to_string(lease.end) +
                             "): another group may have taken it over")
      .with_reason("STALE_FENCE")
      .with_detail("layer", std::to_string(layer));
}

void Core::upload_failed(const std::string& job, const Status& status) {
  spdlog::warn("{}: an upload failed: {}", job, status.to_string());
  if (status.reason() != kDiskFull) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (const Result<OpenJob*> found = find_open(job); found.ok()) {
    pause_for_disk(**found, status);
  }
}

Result<CommittedLayer> Core::committed_layer(const v1::FetchLayerRequest& request) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(find_own_lease(request.job(), request.fence(), request.session()).status());
  ROTOR_ASSIGN_OR_RETURN(OpenJob* const job, find_open(request.job()));
  const auto layer = job->layers.find(request.layer());
  if (layer == job->layers.end()) {
    return failed_precondition("layer " + std::to_string(request.layer()) + " of " + request.job() +
                               " is not committed")
        .with_reason("LAYER_NOT_COMMITTED")
        .with_detail("layer", std::to_string(request.layer()));
  }
  CommittedLayer committed;
  if (!layer->second.file.empty()) {
    committed.path = staging_.layer_path(job->record.id, layer->second.file);
  }
  committed.tensors.assign(layer->second.manifest.tensors().begin(),
                           layer->second.manifest.tensors().end());
  return committed;
}

}  // namespace rotor::coordinator
