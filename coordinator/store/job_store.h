// The durable state of the coordinator: jobs with their events, leases and committed layers, in one
// SQLite file. What a write() has returned OK for survives a power cut; what it has not, did not
// happen.
//
// Thread-safety: every function from any thread; one at a time inside. Errors: those of sqlite.h;
// NOT_FOUND (NO_SUCH_JOB). Cost: a write is one fsync.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/records.h"
#include "coordinator/store/sqlite.h"
#include "quant/base/status.h"
#include "rotor/v1/jobs.pb.h"

namespace rotor::coordinator {

/// The writes of one transaction. Lives only within JobStore::write.
class StoreWriter {
 public:
  explicit StoreWriter(Database* database) : database_(database) {}

  /// Sets record->sequence. The caller has looked for the request id.
  Status insert_job(JobRecord* record);
  /// Writes the fields that change.
  Status update_job(const JobRecord& record);
  Status delete_job(int64_t sequence);
  /// Gives the event the next revision of `record` and its update_us as time; update_job must
  /// follow in the same transaction.
  Status append_event(JobRecord* record, v1::JobEvent event);
  Status put_layer(int64_t sequence, const LayerRecord& layer);
  Status delete_layer(int64_t sequence, int32_t layer);
  Status put_lease(int64_t sequence, const LeaseRecord& lease);
  /// Moves the end of a running lease forward (a shard is cut).
  Status shrink_lease(int64_t sequence, int64_t fence, int32_t end_layer);
  Status end_lease(int64_t sequence, int64_t fence, int64_t end_us, const std::string& reason);
  Status put_cleanup(const Cleanup& cleanup);
  Status delete_cleanup(const std::string& job_id);

 private:
  Database* database_;
};

struct JobPage {
  std::vector<JobRecord> jobs;  // newest first
  bool more = false;
};

class JobStore {
 public:
  /// Opens or makes `path`. Leases that were running end there, reason RESTART, at the time of
  /// their job's last change: how long the coordinator was down afterwards is nobody's work.
  static Result<std::unique_ptr<JobStore>> open(const std::string& path);

  /// Runs `body` in one transaction: all of its writes become durable, or none.
  Status write(const std::function<Status(StoreWriter&)>& body);

  Result<JobRecord> job(const std::string& id);
  /// Empty if the request id is new.
  Result<std::optional<JobRecord>> job_of_request(const std::string& request_id);
  /// Jobs with sequence below `before` (0: all), newest first, `states` empty for all.
  Result<JobPage> list(int64_t before, int limit, const std::vector<v1::JobState>& states);
  /// Jobs that have not ended, or failed (whose layers wait for a resume), oldest first.
  Result<std::vector<JobRecord>> jobs_with_layers();
  /// Events from `revision` on, at most `limit`.
  Result<std::vector<v1::JobEvent>> events(int64_t sequence, int64_t revision, int limit);
  Result<std::vector<LayerRecord>> layers(int64_t sequence);
  Result<std::vector<LeaseRecord>> leases(int64_t sequence);
  Result<std::vector<Cleanup>> cleanups();
  Result<std::map<v1::JobState, int64_t>> count_by_state();
  /// Jobs that ended before `update_us`, without those that failed and keep layers.
  Result<std::vector<std::string>> ended_before(int64_t update_us);
  /// Gives the free pages of the file back where they are a good part of it.
  Status vacuum();
  /// The latest JobRecord::steady_us; 0 in a store without jobs.
  Result<int64_t> last_steady_us();
  /// Counts one more opening of the store, for good; gives the count before.
  Result<int64_t> count_opening();

 private:
  JobStore() = default;
  Result<std::vector<JobRecord>> select_jobs(const std::string& where,
                                             const std::function<void(Statement&)>& bind);
  struct LayerRow {
    LayerRecord layer;  // without manifest and report, which are still to be parsed
    std::string manifest;
    std::string report;
  };
  Result<std::vector<LayerRow>> layer_rows(int64_t sequence);

  std::mutex mutex_;
  Database database_;
};

}  // namespace rotor::coordinator
