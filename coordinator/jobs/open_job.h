// A job that has not ended, as the core holds it in memory. Plain data, guarded by the core's
// mutex.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/scheduler/clock.h"
#include "coordinator/scheduler/shards.h"
#include "coordinator/staging/layer_staging.h"
#include "coordinator/store/records.h"

namespace rotor::coordinator {

/// Layers [first, end) in the hands of a group.
struct Lease {
  int64_t fence = 0;
  int32_t first = 0;
  int32_t end = 0;
  bool evaluate = false;
  bool shrunk = false;  // its end was given to another group
  int64_t group = 0;
  Clock::Time progressed;  // a stage, an upload, a fetch or a commit; at first when it was given
  int commits = 0;  // running: they may take longer than a heartbeat, so the lease does not run out
  std::map<int32_t, std::shared_ptr<LayerStaging>> staging;  // by layer
};

/// OpenJob::retry_at, after the source could not be looked at or a checkpoint not be put together.
inline constexpr std::chrono::seconds kRetryAfter{2};

struct OpenJob {
  JobRecord record;
  std::shared_ptr<const PreparedJob> prepared;  // null until first needed after a restart
  std::map<int32_t, LayerRecord> layers;        // committed; reports stay in the store
  std::map<int64_t, Lease> leases;              // by fence
  int lost_leases = 0;                          // in a row, since a commit or a resume
  bool source_checked = false;                  // since workers were last idle on it
  bool check_now = false;                       // without waiting for a worker: after a restart
  Clock::Time retry_at;                         // do not look at the source, or assemble, before
  bool assembling = false;
  bool publishing = false;  // past the point where a cancel can stop it
  std::shared_ptr<std::atomic<bool>> stop_assembly = std::make_shared<std::atomic<bool>>(false);

  bool layers_committed() const { return layers.size() == static_cast<size_t>(record.layers); }
  bool evaluation_open() const { return record.spec.has_evaluation() && !record.perplexity; }
  bool complete() const { return layers_committed() && !evaluation_open(); }

  /// Whether something that the lease was given for is still to be done.
  bool has_open_work(const Lease& lease) const;
  ShardState shard_state() const;
};

}  // namespace rotor::coordinator
