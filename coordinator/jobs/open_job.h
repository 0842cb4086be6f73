// A job that has not ended, as the core holds it in memory. Plain data, guarded by the core's
// mutex.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "coordinator/jobs/prepared_job.h"
#include "coordinator/jobs/transitions.h"
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
  bool shrunk = false;         // its end was given to another group
  int32_t forward_layer = -1;  // that its group came to, before its first open layer
  bool finishing = false;  // the job was paused: the group hands it back after the layer under way
  int64_t group = 0;
  Clock::Time given;
  std::string doing = "loading";  // for people
  Clock::Time progressed;  // a stage, an upload, a fetch or a commit; at first when it was given
  int commits = 0;  // running: they may take longer than a heartbeat, so the lease does not run out
  std::map<int32_t, std::shared_ptr<LayerStaging>> staging;  // by layer
};

/// OpenJob::retry_at, after the source could not be looked at or a checkpoint not be put together.
inline constexpr std::chrono::seconds kRetryAfter{2};

/// Leases lost within this time are one loss: a restart, or a switch that is rebooted, takes many
/// with it at once.
inline constexpr std::chrono::seconds kLossSpacing{10};

/// kRetryAfter, doubled with every trouble up to about a minute.
inline std::chrono::seconds retry_pause(int troubles) {
  constexpr int kMostDoublings = 5;
  return kRetryAfter * (1 << std::clamp(troubles - 1, 0, kMostDoublings));
}

/// What is asked for often of a committed layer's report.
struct LayerFigures {
  double seconds = 0;
  double mean_error = 0;  // of the relative errors of its modules; 0 where it has none
  int64_t fallbacks = 0;  // modules that fell back
};
LayerFigures figures_of(const v1::LayerReport& report);
std::map<int32_t, double> mean_errors(const std::map<int32_t, LayerFigures>& figures);

struct OpenJob {
  JobRecord record;
  std::shared_ptr<const PreparedJob> prepared;  // null until first needed after a restart
  std::map<int32_t, LayerRecord> layers;        // committed; reports stay in the store
  std::map<int64_t, Lease> leases;              // by fence
  std::map<int32_t, LayerFigures> figures;      // of the committed layers
  int lost_leases = 0;                          // in a row, since a commit or a resume
  Clock::Time last_loss;                        // that was counted
  int disk_troubles = 0;                        // since a commit: they space out the tries
  Clock::Time room_at;                          // do not look for room before
  /// A stop that could not be stored yet: nobody works on the job meanwhile.
  struct Stop {
    v1::JobState state;
    Status cause;
  };
  std::optional<Stop> unstored_stop;
  bool source_checked = false;  // since workers were last idle on it
  std::string source_digest;    // what workers compare with; of the last look
  int source_troubles = 0;      // since a commit: they space out the looks
  bool check_now = false;       // without waiting for a worker: after a restart
  Clock::Time retry_at;         // do not look at the source, or assemble, before
  bool assembling = false;
  bool publishing = false;  // past the point where a cancel can stop it
  std::shared_ptr<std::atomic<bool>> stop_assembly = std::make_shared<std::atomic<bool>>(false);

  /// Where it writes next, and the bytes that it needs there before it can go on.
  std::string next_directory(const std::string& state_dir) const;
  int64_t next_bytes() const;

  bool layers_committed() const { return layers.size() == static_cast<size_t>(record.layers); }
  /// What is left, at the pace of the layers so far; nothing before the first.
  std::optional<double> seconds_left() const;
  /// Calibration tokens that go through a layer, all groups together; 0 before the first.
  double tokens_per_second() const;
  bool evaluation_open() const { return record.spec.has_evaluation() && !record.perplexity; }
  bool complete() const { return is_complete(record); }

  bool wants_workers() const {
    return !unstored_stop &&
           (record.state == v1::JOB_STATE_PENDING || record.state == v1::JOB_STATE_RUNNING);
  }

  /// A layer that was committed: its report is left in the store, but for its figures.
  void note_layer(LayerRecord layer);
  /// One that is to be made again.
  void forget_layer(int32_t layer);
  /// Summed over the committed layers.
  double layer_seconds() const;

  /// Whether a layer of the lease is still to be committed.
  bool has_open_layers(const Lease& lease) const;
  /// Whether something that the lease was given for is still to be done.
  bool has_open_work(const Lease& lease) const {
    return has_open_layers(lease) || (lease.evaluate && evaluation_open());
  }
  ShardState shard_state() const;
};

}  // namespace rotor::coordinator
