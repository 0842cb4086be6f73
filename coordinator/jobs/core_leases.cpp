#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/source_check.h"
#include "model/fingerprint.h"
#include "proto/convert.h"

namespace rotor::coordinator {
namespace {

using std::chrono::duration;
using std::chrono::seconds;

bool wants_workers(const OpenJob& job) {
  return job.record.state == v1::JOB_STATE_PENDING || job.record.state == v1::JOB_STATE_RUNNING;
}

v1::Lease lease_message(const OpenJob& job, const Lease& lease, const Group& group) {
  v1::Lease message;
  message.set_session(group.session);
  message.set_job(job.record.name());
  message.set_fence(lease.fence);
  *message.mutable_spec() = job.record.spec;
  message.set_model_path(job.record.model_path);
  for (const InputFile& input : job.record.inputs) {
    (input.evaluation ? message.add_evaluation_paths() : message.add_calibration_paths())
        ->assign(input.path);
  }
  message.set_first_layer(lease.first);
  message.set_end_layer(lease.end);
  for (const auto& [layer, unused] : job.layers) {
    message.add_committed_layers(layer);
  }
  if (const Result<ModelFingerprint> source = parse_fingerprint(job.record.source); source.ok()) {
    message.set_source_digest(source->portable_digest());
  }
  message.set_calibration_digest(job.record.calibration_digest);
  message.set_evaluate(lease.evaluate);
  return message;
}

}  // namespace

bool Core::is_idle(const Group& group) const {
  return group.fence == 0 && !group.draining && !group.settling && !group.outbox->closed() &&
         clock_.monotonic() - group.heard <= duration<double>(options_.lease_seconds);
}

int Core::idle_groups() const {
  return static_cast<int>(std::count_if(
      groups_.begin(), groups_.end(), [this](const auto& entry) { return is_idle(entry.second); }));
}

Result<Lease*> Core::find_lease(const std::string& name, int64_t fence, int64_t group) {
  for (const auto& [sequence, job] : jobs_) {
    if (job->record.name() != name) {
      continue;
    }
    const auto found = job->leases.find(fence);
    if (found != job->leases.end() && (group == 0 || found->second.group == group)) {
      return &found->second;
    }
  }
  return failed_precondition("fence " + std::to_string(fence) + " of " + name.substr(0, 100) +
                             " is stale: its lease is over; wait for another one")
      .with_reason("STALE_FENCE")
      .with_detail("job", name.substr(0, 100))
      .with_detail("fence", std::to_string(fence));
}

Result<Lease*> Core::find_own_lease(const std::string& name, int64_t fence,
                                    const std::string& session) {
  ROTOR_ASSIGN_OR_RETURN(Lease* const lease, find_lease(name, fence, 0));
  const auto group = groups_.find(lease->group);
  if (group == groups_.end() || group->second.session != session) {
    return Status(Code::kPermissionDenied,
                  "fence " + std::to_string(fence) + " of " + name + " is leased to another group")
        .with_reason("NOT_YOUR_LEASE")
        .with_detail("job", name);
  }
  lease->progressed = clock_.monotonic();
  return lease;
}

void Core::tick() {
  {
    const std::lock_guard lock(mutex_);
    end_expired_leases();
    resume_when_room();
  }
  lease_open_layers();
}

void Core::end_expired_leases() {
  const Clock::Time now = clock_.monotonic();
  for (const auto& [sequence, job] : jobs_) {
    std::vector<int64_t> expired;
    std::vector<int64_t> stalled;
    for (const auto& [fence, lease] : job->leases) {
      const auto group = groups_.find(lease.group);
      const bool silent = group == groups_.end() ||
                          now - group->second.heard > duration<double>(options_.lease_seconds);
      if (silent && lease.commits == 0) {
        expired.push_back(fence);
      } else if (lease.commits == 0 &&
                 now - lease.progressed > duration<double>(options_.progress_seconds)) {
        stalled.push_back(fence);
      }
    }
    for (const int64_t fence : stalled) {
      lose_lease(*job, fence, "NO_PROGRESS");
    }
    for (const int64_t fence : expired) {
      lose_lease(*job, fence, "EXPIRED");
    }
  }
}

void Core::resume_when_room() {
  for (const auto& [sequence, job] : jobs_) {
    const v1::Cause& cause = job->record.cause;
    if (job->record.state != v1::JOB_STATE_PAUSED || cause.reason() != "DISK_FULL") {
      continue;
    }
    const auto path = cause.details().find("path");
    const auto needed = cause.details().find("bytes_needed");
    if (path == cause.details().end() || needed == cause.details().end()) {
      continue;
    }
    const Result<int64_t> free = fs_.free_space(path->second);
    if (free.ok() && *free >= std::strtoll(needed->second.c_str(), nullptr, 10)) {
      if (const Status resumed = unpause(*job); !resumed.ok()) {
        spdlog::warn("{}: {}", job->record.name(), resumed.to_string());
      }
    }
  }
}

Core::Offer Core::next_offer() {
  const int idle = idle_groups();
  if (idle == 0) {
    return {};
  }
  const Clock::Time now = clock_.monotonic();
  for (const auto& [sequence, job] : jobs_) {
    if (!wants_workers(*job) || now < job->retry_at) {
      continue;
    }
    if (const std::optional<ShardCut> cut = next_cut(job->shard_state(), idle)) {
      const auto group = std::find_if(groups_.begin(), groups_.end(),
                                      [this](const auto& entry) { return is_idle(entry.second); });
      return {job.get(), group->first, *cut};
    }
  }
  return {};
}

OpenJob* Core::next_to_check(const Offer& offer) {
  if (offer.job != nullptr && !offer.job->source_checked) {
    return offer.job;
  }
  const Clock::Time now = clock_.monotonic();
  for (const auto& [sequence, job] : jobs_) {
    if (job->check_now && !job->source_checked && now >= job->retry_at && wants_workers(*job)) {
      return job.get();
    }
  }
  return nullptr;
}

void Core::lease_open_layers() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const Offer offer = next_offer();
    OpenJob* const unchecked = next_to_check(offer);
    if (unchecked == nullptr && offer.job == nullptr) {
      return;
    }
    if (unchecked != nullptr) {
      // Reads the model's headers and the calibration files: not under the mutex.
      const JobRecord record = unchecked->record;
      const bool unprepared = unchecked->prepared == nullptr;
      lock.unlock();
      std::shared_ptr<const PreparedJob> prepared;
      const Status checked = check_and_prepare(record, unprepared ? &prepared : nullptr);
      lock.lock();
      note_source(record.sequence, checked, std::move(prepared));
      continue;
    }
    if (const Status given = give_lease(offer); !given.ok()) {
      spdlog::error("{} cannot be leased: {}", offer.job->record.name(), given.to_string());
      offer.job->retry_at = clock_.monotonic() + kRetryAfter;
      if (given.reason() == "DISK_FULL") {
        pause_for_disk(*offer.job, given);
      }
    }
  }
}

Status Core::check_and_prepare(const JobRecord& record,
                               std::shared_ptr<const PreparedJob>* prepared) {
  ROTOR_RETURN_IF_ERROR(check_source(fs_, record));
  if (prepared == nullptr) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const ModelFiles model, open_model(fs_, record.model_path));
  ROTOR_ASSIGN_OR_RETURN(*prepared, prepare_job(record.spec, model));
  return {};
}

void Core::note_source(int64_t sequence, const Status& checked,
                       std::shared_ptr<const PreparedJob> prepared) {
  const auto found = jobs_.find(sequence);
  if (found == jobs_.end()) {
    return;  // it ended meanwhile
  }
  OpenJob& job = *found->second;
  if (checked.ok()) {
    job.source_checked = true;
    job.check_now = false;
    if (prepared) {
      job.prepared = std::move(prepared);
    }
  } else if (checked.reason() == "SOURCE_CHANGED") {
    fail_job(job, checked);
  } else {
    spdlog::warn("{}: its source cannot be looked at, trying again: {}", job.record.name(),
                 checked.to_string());
    job.retry_at = clock_.monotonic() + kRetryAfter;
  }
}

Status Core::give_lease(const Offer& offer) {
  OpenJob& job = *offer.job;
  Group& group = groups_.at(offer.group);
  Lease lease;
  lease.fence = job.record.last_fence + 1;
  lease.first = offer.cut.first;
  lease.end = offer.cut.end;
  lease.evaluate = offer.cut.evaluate;
  lease.group = group.id;
  lease.progressed = clock_.monotonic();

  JobRecord next = job.record;
  next.last_fence = lease.fence;
  if (job.leases.empty()) {
    next.resumed_layers = next.committed_layers;
  }
  const bool first = next.state == v1::JOB_STATE_PENDING;
  next.state = v1::JOB_STATE_RUNNING;
  const Status saved =
      save(job, std::move(next), [&](StoreWriter& writer, JobRecord& record) -> Status {
        if (first) {
          v1::JobEvent running;
          running.mutable_state()->set_state(record.state);
          ROTOR_RETURN_IF_ERROR(writer.append_event(&record, std::move(running)));
        }
        if (offer.cut.shrunk_fence != 0) {
          ROTOR_RETURN_IF_ERROR(
              writer.shrink_lease(record.sequence, offer.cut.shrunk_fence, lease.first));
        }
        ROTOR_RETURN_IF_ERROR(writer.put_lease(record.sequence, {lease.fence,
                                                                 lease.first,
                                                                 lease.end,
                                                                 group.describe(),
                                                                 group.registration.ranks(),
                                                                 record.update_us,
                                                                 {},
                                                                 ""}));
        v1::JobEvent event;
        v1::ShardLeased* leased = event.mutable_leased();
        leased->set_first_layer(lease.first);
        leased->set_end_layer(lease.end);
        leased->set_fence(lease.fence);
        leased->set_worker(group.describe());
        leased->set_ranks(group.registration.ranks());
        leased->set_committed_layers(record.committed_layers);
        return writer.append_event(&record, std::move(event));
      });
  ROTOR_RETURN_IF_ERROR(saved);
  if (offer.cut.shrunk_fence != 0) {
    Lease& shrunk = job.leases.at(offer.cut.shrunk_fence);
    shrunk.end = lease.first;
    shrunk.shrunk = true;
  }
  spdlog::info("{}: layers {} to {} leased to {}, fence {}", job.record.name(), lease.first,
               lease.end, group.describe(), lease.fence);
  group.job = job.record.sequence;
  group.fence = lease.fence;
  v1::CoordinatorMessage message;
  *message.mutable_lease() = lease_message(job, lease, group);
  group.outbox->push(std::move(message));
  job.leases.emplace(lease.fence, std::move(lease));
  return {};
}

bool Core::end_lease(OpenJob& job, int64_t fence, const std::string& reason, bool tell_worker) {
  const auto found = job.leases.find(fence);
  if (found == job.leases.end()) {
    return false;
  }
  const Lease lease = std::move(found->second);
  job.leases.erase(found);
  for (const auto& [layer, staging] : lease.staging) {
    staging->revoke();
    staging->discard();
  }
  if (const auto group = groups_.find(lease.group); group != groups_.end()) {
    group->second.fence = 0;
    group->second.job = 0;
    if (tell_worker) {
      group->second.settling = true;
      v1::CoordinatorMessage message;
      message.mutable_revoke()->set_job(job.record.name());
      message.mutable_revoke()->set_fence(fence);
      message.mutable_revoke()->set_reason(reason);
      group->second.outbox->push(std::move(message));
    }
  }
  job.source_checked = job.source_checked && !job.leases.empty();

  const bool lost = job.has_open_work(lease) && !job.record.ended();
  const Status saved = save(job, job.record, [&](StoreWriter& writer, JobRecord& record) -> Status {
    ROTOR_RETURN_IF_ERROR(writer.end_lease(record.sequence, fence, record.update_us, reason));
    if (!lost) {
      return {};
    }
    v1::JobEvent event;
    event.mutable_lost()->set_first_layer(lease.first);
    event.mutable_lost()->set_fence(fence);
    event.mutable_lost()->set_reason(reason);
    return writer.append_event(&record, std::move(event));
  });
  if (!saved.ok()) {
    // The lease is over all the same: leases of the past are bookkeeping, the fence is not.
    spdlog::error("{}: {}", job.record.name(), saved.to_string());
  }
  spdlog::info("{}: fence {} is over: {}", job.record.name(), fence, reason);
  poke();
  return lost;
}

void Core::lose_lease(OpenJob& job, int64_t fence, const std::string& reason) {
  const auto found = job.leases.find(fence);
  if (found == job.leases.end()) {
    return;
  }
  const Lease& lease = found->second;
  const std::string layers =
      "layers " + std::to_string(lease.first) + " to " + std::to_string(lease.end);
  const auto holder = groups_.find(lease.group);
  const std::string worker = holder == groups_.end() ? "a group" : holder->second.describe();
  if (!end_lease(job, fence, reason, true) || ++job.lost_leases < options_.most_lost_leases) {
    return;
  }
  const std::string last =
      worker + (reason == "EXPIRED" ? " fell silent" : " died or left") + " with " + layers;
  pause_job(job, aborted(std::to_string(job.lost_leases) +
                         " leases in a row were lost before a layer was committed, the last when " +
                         last + "; see its log (out of memory, a crash), then resume the job")
                     .with_reason("LEASES_LOST")
                     .with_detail("leases", std::to_string(job.lost_leases))
                     .with_detail("worker", worker)
                     .with_detail("lost", reason)
                     .with_detail("remedy", "rotor resume " + job.record.name()));
}

}  // namespace rotor::coordinator
