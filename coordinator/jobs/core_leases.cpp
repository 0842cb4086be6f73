#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "coordinator/jobs/core.h"
#include "coordinator/jobs/reasons.h"

namespace rotor::coordinator {
namespace {

using std::chrono::duration;

constexpr char kExpired[] = "EXPIRED";

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
  message.set_source_digest(job.source_digest);
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
    retry_stops();
    resume_when_room();
    finalize_complete_jobs();
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
      lose_lease(*job, fence, kExpired);
    }
  }
}

bool Core::has_room(const OpenJob& job) {
  const std::string directory = job.next_directory(options_.state_dir);
  const Result<int64_t> free = fs_.free_space(directory);
  return free.ok() && *free >= job.next_bytes() &&
         try_room(fs_, directory, job.next_bytes()).ok() && reserve_.keep().ok();
}

void Core::resume_when_room() {
  for (const auto& [sequence, job] : jobs_) {
    if (job->record.state != v1::JOB_STATE_PAUSED || job->record.cause.reason() != kDiskFull ||
        clock_.monotonic() < job->room_at) {
      continue;
    }
    const bool room = has_room(*job);
    const Status resumed = room ? unpause(*job) : Status();
    if (!resumed.ok()) {
      spdlog::warn("{}: {}", job->record.name(), resumed.to_string());
      ++job->disk_troubles;
    }
    job->room_at = clock_.monotonic() + retry_pause(room ? job->disk_troubles : 1);
  }
}

void Core::finalize_complete_jobs() {
  for (const auto& [sequence, job] : jobs_) {
    if (job->unstored_stop || clock_.monotonic() < job->retry_at) {
      continue;
    }
    if (const Status done = finalize_if_complete(*job); !done.ok()) {
      spdlog::error("{}: {}", job->record.name(), done.to_string());
      job->retry_at = clock_.monotonic() + kRetryAfter;
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
    if (!job->wants_workers() || now < job->retry_at) {
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

void Core::lease_open_layers() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const Offer offer = next_offer();
    OpenJob* const unchecked = next_to_check(offer);
    if (unchecked == nullptr && offer.job == nullptr) {
      return;
    }
    if (unchecked != nullptr) {
      const JobRecord record = unchecked->record;
      const bool unprepared = unchecked->prepared == nullptr;
      lock.unlock();
      const Result<SourceLook> look = look_at_source(record, unprepared);
      lock.lock();
      note_source(record.sequence, look);
      continue;
    }
    if (const Status given = give_lease(offer); !given.ok()) {
      spdlog::error("{} cannot be leased: {}", offer.job->record.name(), given.to_string());
      offer.job->retry_at = clock_.monotonic() + kRetryAfter;
      if (given.reason() == kDiskFull) {
        pause_for_disk(*offer.job, given);
      }
    }
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
  lease.given = clock_.monotonic();
  lease.progressed = lease.given;

  const Status saved = change(
      job, LeaseGiven{job.leases.empty()}, [&](StoreWriter& writer, JobRecord& record) -> Status {
        if (offer.cut.shrunk_fence != 0) {
          ROTOR_RETURN_IF_ERROR(
              writer.shrink_lease(record.sequence, offer.cut.shrunk_fence, lease.first));
        }
        ROTOR_RETURN_IF_ERROR(writer.put_lease(record.sequence, {lease.fence,
                                                                 lease.first,
                                                                 lease.end,
                                                                 group.describe(),
                                                                 group.registration.ranks(),
                                                                 record.steady_us,
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
    ROTOR_RETURN_IF_ERROR(writer.end_lease(record.sequence, fence, record.steady_us, reason));
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
  const bool finishing = lease.finishing;  // of a paused job: no more is asked of it
  if (end_lease(job, fence, reason, true) && !finishing) {
    count_lost_lease(
        job, reason,
        worker + (reason == kExpired ? " fell silent" : " died or left") + " with " + layers);
  }
}

void Core::count_lost_lease(OpenJob& job, const std::string& reason, const std::string& what) {
  const Clock::Time now = clock_.monotonic();
  if (job.lost_leases > 0 && now - job.last_loss < kLossSpacing) {
    return;
  }
  job.last_loss = now;
  if (++job.lost_leases < options_.most_lost_leases) {
    return;
  }
  pause_job(job, aborted("leases were lost " + std::to_string(job.lost_leases) +
                         " times, at least " + std::to_string(kLossSpacing.count()) +
                         " s apart, before a layer was committed, the last when " + what +
                         "; see its log (out of memory, a crash), then resume the job")
                     .with_reason(kLeasesLost)
                     .with_detail("leases", std::to_string(job.lost_leases))
                     .with_detail("lost", reason)
                     .with_detail("remedy", "rotor resume " + job.record.name()));
}

}  // namespace rotor::coordinator
