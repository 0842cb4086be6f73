// The life of a job as a pure function: what its record becomes by what happens to it, and what is
// then to be done. The core stores the one and does the other.
//
//   PENDING -> RUNNING -> FINALIZING -> SUCCEEDED
//   PENDING, RUNNING -> PAUSED (by a user) -> PENDING or RUNNING
//   RUNNING, FINALIZING -> PAUSED (DISK_FULL) -> back, by itself
//   RUNNING, FINALIZING -> PAUSED (SOURCE_UNREADABLE) -> back, by itself when it can be read
//   RUNNING, FINALIZING -> PAUSED (SOURCE_CHANGED) -> back (by a user, when it is as it was)
//   RUNNING -> PAUSED (LEASES_LOST: its workers die again and again) -> RUNNING (by a user)
//   FINALIZING -> RUNNING (a committed layer is damaged and made again)
//   any of these -> CANCELLED, FAILED
//   FAILED -> PENDING, RUNNING or FINALIZING, CANCELLED (by a user); its layers wait until then
//
// Thread-safety: pure functions. Errors: INTERNAL, BAD_TRANSITION, for what does not fit the job as
// it is. Cost: a copy of the record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "coordinator/store/records.h"
#include "quant/base/status.h"
#include "rotor/v1/jobs.pb.h"

namespace rotor::coordinator {

struct LeaseGiven {
  bool only = false;  // nobody else works on the job
};
struct LayerMade {
  int64_t fallbacks = 0;  // modules of it that fell back
};
/// A committed layer does not have its bytes any more: it is made again.
struct LayerDamaged {
  int64_t fallbacks = 0;
  Status cause;
};
struct Evaluated {
  double perplexity = 0;
  int64_t tokens = 0;
};
/// A worker, a commit or an assembly failed, and is tried again.
struct WorkFailed {};
/// Nothing is left to workers.
struct Completed {};
/// The last moment to stop: the directory of this identity will be the checkpoint.
struct Publishing {
  std::string identity;
};
/// The checkpoint is in its place.
struct Assembled {
  int64_t took_us = 0;
  int64_t bytes = 0;
};
/// Becomes PAUSED, SUCCEEDED, FAILED or CANCELLED. A pause may follow a pause: its cause changes.
struct Stopped {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  Status cause;  // OK: none
};
/// An order to go on.
struct Resumed {};
struct Deleted {};

using JobChange = std::variant<LeaseGiven, LayerMade, LayerDamaged, Evaluated, WorkFailed,
                               Completed, Publishing, Assembled, Stopped, Resumed, Deleted>;

struct Outcome {
  JobRecord record;
  /// Watchers are told of a new state, or of a new cause of the same.
  std::optional<v1::StateChanged> told;
  /// What of the job's is removed; kept in the store, unless keep_staging, until it is done.
  std::optional<Cleanup> cleanup;
};

Result<Outcome> apply_change(const JobRecord& record, const JobChange& change);

/// Whether nothing is left to workers: all layers are committed, and evaluated if that was asked.
bool is_complete(const JobRecord& record);

/// What a job that has ended leaves to be removed.
Cleanup cleanup_of(const JobRecord& record);

}  // namespace rotor::coordinator
