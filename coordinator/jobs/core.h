// The heart of the coordinator, free of gRPC: jobs (whose states are in transitions.h), worker
// groups and their leases, commits, and what the background threads do.
//
// Every change of a job is written to the store together with its event before anybody sees it. A
// lease lives in memory: after a restart there is none, and the fence counter in the store makes
// every older fence stale.
//
// Thread-safety: every function from any thread, behind one mutex, which is never held over a sync
// of tensor data, a read of the model, or a send. Errors carry reasons: NO_SUCH_JOB, BAD_NAME,
// BAD_REQUEST_ID, REQUEST_ID_TAKEN, JOB_ENDED, BAD_STATE, SOURCE_CHANGED, SOURCE_UNREADABLE,
// STALE_FENCE, and those of validation and staging. Cost: a change of state is one fsync of the
// store.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "coordinator/access/submitter.h"
#include "coordinator/assemble/assembler.h"
#include "coordinator/jobs/ended_errors.h"
#include "coordinator/jobs/event_hub.h"
#include "coordinator/jobs/open_job.h"
#include "coordinator/jobs/state_reserve.h"
#include "coordinator/jobs/transitions.h"
#include "coordinator/jobs/validate.h"
#include "coordinator/jobs/validation_slots.h"
#include "coordinator/options.h"
#include "coordinator/scheduler/clock.h"
#include "coordinator/scheduler/groups.h"
#include "coordinator/staging/layer_staging.h"
#include "coordinator/staging/staging_area.h"
#include "coordinator/store/job_store.h"
#include "rotor/v1/jobs.pb.h"
#include "rotor/v1/workers.pb.h"

namespace rotor::coordinator {

/// Events of a job for a watcher.
struct WatchBatch {
  std::vector<v1::JobEvent> events;
  bool ended = false;  // the job has ended and these were its last events
};

/// A committed layer, for FetchLayer.
struct CommittedLayer {
  std::string path;  // of its file; empty: no tensors
  std::vector<v1::TensorInfo> tensors;
};

/// What the first rank of a group knows of its ranks.
using RankStates = google::protobuf::RepeatedPtrField<v1::RankState>;

/// What is written beside a job's record.
using StoreWork = std::function<Status(StoreWriter&, JobRecord&)>;

/// What is told of while jobs are worked on.
class CoreObserver {
 public:
  virtual ~CoreObserver() = default;
  /// Under the core's mutex, so briefly. `tokens`: calibration tokens that went through it.
  virtual void layer_committed(const v1::LayerReport& report, int64_t tokens) = 0;
};

class Core {
 public:
  /// ShardFailed without a commit in between, after which a job fails.
  static constexpr int kMostFailures = 3;

  /// Opens the store below options.state_dir and takes up every job that has not ended. The
  /// references must outlive the core.
  static Result<std::unique_ptr<Core>> open(FileSystem& fs, const Clock& clock,
                                            const CoordinatorOptions& options);

  // --- for clients ---
  /// `cancelled` is asked now and then while it validates.
  Result<v1::Job> submit(
      const v1::SubmitJobRequest& request, const Submitter& submitter = {},
      const std::function<bool()>& cancelled = [] { return false; });
  Result<v1::Job> get(const std::string& name);
  Result<v1::ListJobsResponse> list(const v1::ListJobsRequest& request);
  /// The groups that have a lease of the job commit the layer under way and hand it back.
  Result<v1::Job> pause(const std::string& name);
  /// Cancelling twice gives the same job; a job that ended otherwise is FAILED_PRECONDITION.
  Result<v1::Job> cancel(const std::string& name);
  /// Of a job that is paused or has failed. One that failed counts as its owner's once more, and is
  /// refused where its place was taken (OUTPUT_IN_USE, OUTPUT_EXISTS) or the quota of `submitter`,
  /// if it is the owner, is used up (TOO_MANY_JOBS).
  Result<v1::Job> resume(const std::string& name, const Submitter& submitter = {});
  /// Only a job that has ended; with it goes what one that failed had committed.
  Status remove(const std::string& name);
  Result<v1::Report> report(const std::string& name);
  v1::ListWorkersResponse list_workers();
  /// Jobs of the store by state.
  Result<std::map<v1::JobState, int64_t>> count_jobs();
  /// LayerFigures::mean_error of each committed layer, by layer.
  Result<std::map<int32_t, double>> layer_errors(const std::string& name);
  /// Events from `revision` on; waits up to `timeout` for one. Error: UNAVAILABLE once stopped.
  Result<WatchBatch> watch(const std::string& name, int64_t revision,
                           std::chrono::milliseconds timeout);

  // --- for worker groups; `group` is what attach() gave ---
  Result<int64_t> attach(const v1::Register& registration, std::shared_ptr<Outbox> outbox);
  /// The stream broke or ended: its lease is over at once.
  void detach(int64_t group);
  void heartbeat(int64_t group, const v1::Heartbeat& heartbeat);
  void progress(int64_t group, const v1::Progress& progress);
  void forward(int64_t group, const v1::Forward& forward);
  /// Answers through the group's outbox.
  void commit(int64_t group, const v1::CommitLayer& commit);
  void shard_finished(int64_t group, const v1::ShardFinished& finished);
  void shard_failed(int64_t group, const v1::ShardFailed& failed);
  void draining(int64_t group, const std::string& reason);
  Result<std::shared_ptr<LayerStaging>> open_upload(const v1::PutHeader& header);
  /// An upload could not be stored: DISK_FULL pauses the job.
  void upload_failed(const std::string& job, const Status& status);
  Result<CommittedLayer> committed_layer(const v1::FetchLayerRequest& request);
  /// A committed layer's bytes do not have their digests any more: it is made again.
  void layer_lost(const std::string& job, int32_t layer, const Status& cause);

  // --- for the background ---
  /// Before anything else; it must outlive the calls.
  void observe(CoreObserver* observer) { observer_ = observer; }
  /// Forgets ended jobs that are older than options.retain_seconds, and gives the store's free
  /// pages back. To be called now and then.
  void keep_house();
  /// Ends leases that ran out, resumes jobs that wait for disk space, leases what is open.
  void tick();
  /// Puts one job's checkpoint together; false if none is ready.
  bool assemble_next();
  /// Returns after `timeout`, or earlier when there may be something to lease or to assemble.
  void wait_for_work(int64_t* seen, std::chrono::milliseconds timeout);
  /// Closes every outbox and wakes every waiter; calls fail with UNAVAILABLE afterwards.
  void stop();

 private:
  Core(FileSystem& fs, const Clock& clock, const CoordinatorOptions& options);

  // core.cpp
  Status open_state();
  Status take_up_jobs();
  Status take_up(JobRecord record);
  /// Into memory, with its committed layers.
  Result<OpenJob*> load(JobRecord record);
  Result<std::string> id_of(const std::string& name) const;
  Result<OpenJob*> find_open(const std::string& name);
  /// Writes `next` with whatever else `body` writes, in one transaction, and makes it the record.
  Status save(OpenJob& job, JobRecord next, const StoreWork& body);
  /// Saves what apply_change() makes of the job, tells watchers, and has removed what it says.
  Status change(OpenJob& job, const JobChange& change, const StoreWork& body = {});
  /// change(), on the room that is kept for it where there is no other.
  Status change_with_reserve(OpenJob& job, const JobChange& change);
  /// change_with_reserve, then ends the job's leases; drops it from memory where it has ended.
  Status stop_job(OpenJob& job, v1::JobState state, const Status& cause);
  void fail_job(OpenJob& job, const Status& cause);
  void pause_job(OpenJob& job, const Status& cause);
  void pause_for_disk(OpenJob& job, const Status& cause);
  /// Back from PAUSED to where the job was.
  Status unpause(OpenJob& job);
  void poke();
  /// Microseconds that no clock's setting changes; rises over restarts, too.
  int64_t steady_us() const;
  /// stop_job once more for those that could not be stored.
  void retry_stops();
  /// stop_job; what cannot be written for want of room is held in memory and written later.
  void stop_surely(OpenJob& job, v1::JobState state, const Status& cause);

  // core_jobs.cpp
  /// What clients see of a job, with its pace. The mutex is held.
  Result<v1::Job> look_up(const std::string& name) const;
  v1::Job show(const JobRecord& record) const;
  /// Tells the groups that have a lease of it to hand it back after the layer under way.
  void finish_layers(OpenJob& job);
  /// A cancel of a job that has ended: one that failed gives up its layers.
  Result<v1::Job> cancel_ended(const std::string& name, const Status& ended);
  Status check_resumable(const JobRecord& record) const;
  /// An open job, or one that failed, which is taken up again.
  Result<OpenJob*> find_resumable(const std::string& name, const Submitter& submitter);

  // core_submit.cpp
  Result<v1::Job> existing_job(const JobRecord& record, const v1::SubmitJobRequest& request);
  Status check_output_unused(const std::string& output_path);
  /// RESOURCE_EXHAUSTED, TOO_MANY_JOBS.
  Status check_quota(const Submitter& submitter);

  // core_leases.cpp
  bool is_idle(const Group& group) const;
  int idle_groups() const;
  void end_expired_leases();
  void resume_when_room();
  bool has_room(const OpenJob& job);
  /// Once more, where the end of a job's last layer could not be written.
  void finalize_complete_jobs();
  void lease_open_layers();
  /// What to lease next and to whom; job null: nothing.
  struct Offer {
    OpenJob* job = nullptr;
    int64_t group = 0;
    ShardCut cut;
  };
  Offer next_offer();
  Status give_lease(const Offer& offer);
  /// Returns whether work that it was given for is still open.
  bool end_lease(OpenJob& job, int64_t fence, const std::string& reason, bool tell_worker);
  /// Ends the lease of a group that died or fell silent; pauses the job after too many of them.
  void lose_lease(OpenJob& job, int64_t fence, const std::string& reason);
  /// Counts it, at most once in OpenJob::kLossSpacing, and pauses the job after too many.
  void count_lost_lease(OpenJob& job, const std::string& reason, const std::string& what);
  /// The lease if `fence` is a running one of that job; `group` 0 for any.
  Result<Lease*> find_lease(const std::string& name, int64_t fence, int64_t group);
  /// The same for a call beside the group's stream, which must know its secret; counts as progress.
  Result<Lease*> find_own_lease(const std::string& name, int64_t fence, const std::string& session);

  // core_sources.cpp
  /// The job whose source must be looked at before anything else; null: none.
  OpenJob* next_to_check(const Offer& offer);
  struct SourceLook {
    std::string digest;
    std::shared_ptr<const PreparedJob> prepared;  // null where it was not asked for
  };
  /// Not under the mutex: reads the model's headers and the input files.
  Result<SourceLook> look_at_source(const JobRecord& record, bool prepare);
  void note_source(int64_t sequence, const Result<SourceLook>& look);
  /// Keeps everything; a job that is paused for it already learns what is wrong now.
  void pause_for_source(OpenJob& job, const Status& cause);
  /// A worker's error about a file that reads well from here.
  void worker_source_failed(OpenJob& job, const Status& cause, const std::string& worker);

  // core_workers.cpp
  /// Notes a sign of life; null if the group is gone.
  Group* hear(int64_t group);
  Status check_in_lease(const Lease& lease, int32_t layer) const;
  /// One more failure without a commit; `final`: no second try.
  void count_failure(OpenJob& job, const Status& cause, bool final);

  // core_upkeep.cpp
  /// Flops a second of a group, for the estimates of later jobs.
  void note_pace(const OpenJob& job, const v1::LayerReport& report);
  void recall_pace();
  /// Time and free disks, as they are now.
  void complete_estimate(const std::string& output_path, v1::Estimate* estimate);

  // core_groups.cpp
  /// What its first rank says of the others; a new straggler is logged.
  static void note_ranks(Group& group, const RankStates& ranks);

  // core_commits.cpp
  Status commit_layer(int64_t group, const v1::CommitLayer& commit);
  Status record_commit(const v1::CommitLayer& commit, const std::string& file);
  /// A layer that was committed before must come with the same digests.
  Status check_again(OpenJob& job, const LayerRecord& committed, const v1::CommitLayer& commit);
  /// What a commit's outcome means for lease and job.
  void settle_commit(int64_t group, const v1::CommitLayer& commit, const Status& status);
  /// False: the job failed over it.
  bool check_fallback_limit(OpenJob& job);
  Status finalize_if_complete(OpenJob& job);
  void lose_layer(OpenJob& job, int32_t layer, const Status& cause);

  // core_assembly.cpp
  Result<AssemblyResult> run_assembly(AssemblyInput* input, const std::atomic<bool>& stop);
  /// The last moment to stop: from here on the checkpoint will be visible.
  Status begin_publishing(int64_t sequence, const std::string& identity);
  void finish_assembly(const JobRecord& record, const Result<AssemblyResult>& result,
                       int64_t took_us);
  void succeed(OpenJob& job, const AssemblyResult& result, int64_t took_us);
  void assembly_failed(OpenJob& job, const Status& status);
  void clean_up();

  FileSystem& fs_;
  const Clock& clock_;
  const CoordinatorOptions options_;
  StagingArea staging_;
  std::unique_ptr<JobStore> store_;
  EventHub hub_;       // watchers
  EventHub work_hub_;  // background threads
  ValidationSlots validations_;
  std::mutex mutex_;
  std::condition_variable published_;                 // OpenJob::publishing fell
  std::map<int64_t, std::unique_ptr<OpenJob>> jobs_;  // by sequence: oldest first
  std::map<int64_t, Group> groups_;
  /// Of jobs that have ended, as in the store; the assembling thread removes them, so that nobody
  /// removes what it is writing.
  std::vector<Cleanup> cleanups_;
  EndedErrors ended_errors_;
  StateReserve reserve_;
  int64_t steady_origin_us_ = 0;
  Clock::Time steady_origin_;
  int64_t last_group_ = 0;
  CoreObserver* observer_ = nullptr;
  double pace_ = 0;  // flops a second of a group, of the layer that was committed last; 0: none
  bool stopped_ = false;
};

}  // namespace rotor::coordinator
