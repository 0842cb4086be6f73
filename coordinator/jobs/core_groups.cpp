#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/jobs/core.h"
#include "quant/base/plain_text.h"

namespace rotor::coordinator {
namespace {

double seconds_between(Clock::Time earlier, Clock::Time later) {
  return std::chrono::duration<double>(later - earlier).count();
}

}  // namespace

void Core::note_ranks(Group& group, const RankStates& ranks) {
  const bool plausible =
      ranks.size() <= group.registration.ranks() &&
      std::all_of(ranks.begin(), ranks.end(), [](const v1::RankState& rank) {
        return rank.host().size() <= kLongestWorkerText && is_plain_text(rank.host());
      });
  if (!plausible) {
    return;
  }
  for (const v1::RankState& rank : ranks) {
    const auto known = std::find_if(group.ranks.begin(), group.ranks.end(), [&](const auto& old) {
      return old.rank() == rank.rank() && old.straggler();
    });
    if (rank.straggler() && known == group.ranks.end()) {
      spdlog::warn("group {}: rank {} on {} is a straggler: the others wait for it", group.id,
                   rank.rank(), rank.host());
    }
  }
  group.ranks.assign(ranks.begin(), ranks.end());
}

void Core::forward(int64_t group, const v1::Forward& forward) {
  const std::lock_guard lock(mutex_);
  hear(group);
  const Result<Lease*> lease = find_lease(forward.job(), forward.fence(), group);
  const Result<OpenJob*> job = find_open(forward.job());
  if (!lease.ok() || !job.ok() || forward.layer() <= (*lease)->forward_layer ||
      forward.layer() >= forward.until_layer() || forward.until_layer() > (*lease)->end) {
    return;  // late news of a lease that is over, or nothing new
  }
  (*lease)->forward_layer = forward.layer();
  (*lease)->progressed = clock_.monotonic();
  (*lease)->doing = "running forward to layer " + std::to_string(forward.until_layer()) +
                    ", at layer " + std::to_string(forward.layer());
  const Status saved = save(**job, (*job)->record, [&](StoreWriter& writer, JobRecord& record) {
    v1::JobEvent event;
    v1::RunForward* run = event.mutable_forward();
    run->set_fence(forward.fence());
    run->set_layer(forward.layer());
    run->set_until_layer(forward.until_layer());
    return writer.append_event(&record, std::move(event));
  });
  if (!saved.ok()) {
    spdlog::warn("{}: {}", forward.job(), saved.to_string());
  }
}

v1::ListWorkersResponse Core::list_workers() {
  const std::lock_guard lock(mutex_);
  const Clock::Time now = clock_.monotonic();
  v1::ListWorkersResponse response;
  for (const auto& [id, group] : groups_) {
    v1::WorkerGroup* const out = response.add_groups();
    out->set_id(id);
    out->set_host(group.registration.host());
    out->set_ranks(group.registration.ranks());
    out->set_device(group.registration.device());
    out->set_device_memory_bytes(group.registration.memory_bytes());
    out->set_version(group.registration.version());
    out->set_attached_seconds(seconds_between(group.attached, now));
    out->set_heard_seconds(seconds_between(group.heard, now));
    out->set_draining(group.draining);
    for (const v1::RankState& rank : group.ranks) {
      *out->add_rank_states() = rank;
    }
    const auto job = jobs_.find(group.job);
    const auto lease = job == jobs_.end() ? std::map<int64_t, Lease>::iterator()
                                          : job->second->leases.find(group.fence);
    if (job == jobs_.end() || lease == job->second->leases.end()) {
      continue;
    }
    out->set_job(job->second->record.name());
    out->set_fence(group.fence);
    out->set_first_layer(lease->second.first);
    out->set_end_layer(lease->second.end);
    out->set_lease_seconds(seconds_between(lease->second.given, now));
    out->set_doing(lease->second.doing);
  }
  return response;
}

}  // namespace rotor::coordinator
