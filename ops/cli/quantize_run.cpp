#include "ops/cli/quantize_run.h"

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "ops/cli/client.h"
#include "ops/cli/executables.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/follow.h"
#include "ops/cli/job_calibration.h"
#include "ops/cli/paths.h"
#include "ops/cli/state_dir.h"
#include "ops/cli/supervisor.h"
#include "proto/pause_reasons.h"
#include "quant/checkpoint/inspect.h"
#include "quant/io/file.h"

namespace rotor::cli {
namespace {

// The state directory belongs to one output, so one id is enough.
constexpr char kRequestId[] = "quantize";
constexpr double kConnectSeconds = 30;
constexpr int kMostJobs = 1000;

void resolve_links(v1::JobSpec& spec) {
  spec.set_model(real_path(spec.model()).string());
  spec.set_output(real_path(spec.output()).string());
  for (std::string& file : *spec.mutable_calibration()->mutable_files()) {
    file = real_path(file).string();
  }
  if (spec.has_evaluation()) {
    for (std::string& file : *spec.mutable_evaluation()->mutable_files()) {
      file = real_path(file).string();
    }
  }
}

Status make_parent(const std::filesystem::path& output, Console& console) {
  if (!output.has_filename()) {
    return invalid_argument("--output " + output.string() + " names no new directory")
        .with_reason(kReasonUsage);
  }
  std::error_code error;
  if (std::filesystem::create_directories(output.parent_path(), error)) {
    console.note("made the directory " + output.parent_path().string());
  }
  return error ? errno_error(error.value(), "cannot make the directory",
                             output.parent_path().string())
               : Status();
}

/// The output where its nearest directory that exists is its parent: a plan makes no directories.
std::filesystem::path beside_existing(const std::filesystem::path& output) {
  return std::filesystem::path(existing_above(posix_file_system(), output.string())) /
         output.filename();
}

Status explain_conflict(Status status) {
  return status.reason() != "REQUEST_ID_TAKEN"
             ? status
             : std::move(status).with_detail(
                   "remedy",
                   "repeat the command as it was to go on with that job, or add --restart "
                   "to begin anew; a file below prepared-calibration stands for --calibration, the "
                   "bytes that it names, and --seed");
}

/// What an earlier run made may have been damaged since: its config and the headers and sizes of
/// its files are looked at. `rotor verify` reads all of it.
Status check_checkpoint(const std::string& directory) {
  const auto checkpoint = inspect_checkpoint(posix_file_system(), directory);
  return checkpoint.ok()
             ? Status()
             : checkpoint.status().with_detail(
                   "remedy",
                   "the checkpoint was whole when the last run ended: move what is left "
                   "of it away, and repeat the command to make it anew");
}

/// One run on one output.
class QuantizeRun {
 public:
  QuantizeRun(const QuantizeOptions& options, const v1::JobSpec& spec, StateDir& state,
              const Programs& programs, const std::function<int()>& stop_count, Console& console)
      : options_(options),
        spec_(spec),
        state_(state),
        stop_count_(stop_count),
        console_(console),
        coordinator_(programs.coordinator, state,
                     existing_above(posix_file_system(), spec.output()), console),
        gang_(gang_setup(options.local, programs, state)) {}

  int go() {
    const Result<v1::Report> report = run();
    coordinator_.stop(kStopSeconds);
    if (refused_ && state_.fresh()) {
      state_.discard();
    }
    if (report.ok()) {
      return finish_job(console_, *report, options_.all);
    }
    if (!failure_.ok()) {
      return console_.fail(failure_);
    }
    if (report.status().reason() == kReasonInterrupted) {
      return console_.fail(cancelled("interrupted; what is committed is kept")
                               .with_reason(kReasonInterrupted)
                               .with_detail("remedy", "run the same command again to go on")
                               .with_detail("state-dir", state_.path().string()));
    }
    return console_.fail(report.status());
  }

  Result<v1::Job> plan() {
    Result<v1::Job> plan = ask_for_plan();
    coordinator_.stop(kStopSeconds);
    remove_plan_calibration(state_);
    if (state_.fresh()) {
      state_.discard();
    }
    if (!plan.ok() && !failure_.ok()) {
      return failure_;
    }
    return plan;
  }

 private:
  static constexpr double kStopSeconds = 10;

  static GangSetup gang_setup(const LocalOptions& local, const Programs& programs,
                              const StateDir& state) {
    GangSetup setup;
    setup.mpirun = programs.mpirun;
    setup.worker = programs.worker;
    setup.ranks = local.ranks;
    setup.ranks_per_group = local.ranks_per_group;
    setup.threads = local.threads > 0 ? local.threads : default_threads(local.ranks);
    setup.device = local.device;
    setup.device_memory = local.device_memory;
    setup.log = state.worker_log();
    setup.token_file = state.token_file().string();
    return setup;
  }

  /// A client that keeps the coordinator alive while it waits for an answer.
  JobsClient client() {
    return {coordinator_.endpoint(), kConnectSeconds, [this] {
              failure_ = coordinator_.keep_alive();
              return failure_.ok() && stop_count_() == 0;
            }};
  }
  Tick tick() const {
    return [this] { return stop_count_() == 0; };
  }

  std::function<bool()> stopped() const {
    return [this] { return stop_count_() != 0; };
  }

  Result<v1::Job> ask_for_plan() {
    v1::SubmitJobRequest request;
    request.set_validate_only(true);
    ROTOR_ASSIGN_OR_RETURN(*request.mutable_spec(),
                           prepare_for_plan(spec_, state_, stopped(), console_));
    ROTOR_RETURN_IF_ERROR(coordinator_.start(tick()));
    return client().submit(request);
  }

  /// The job of an earlier run, where there is one.
  static Result<std::optional<v1::Job>> earlier_job(JobsClient& client) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs, client.list({}, kMostJobs));
    for (const v1::Job& job : jobs) {
      if (job.request_id() == kRequestId) {
        return std::optional<v1::Job>(job);
      }
    }
    return std::optional<v1::Job>();
  }

  Result<v1::Job> submit(JobsClient& client) {
    ROTOR_ASSIGN_OR_RETURN(const std::optional<v1::Job> earlier, earlier_job(client));
    v1::SubmitJobRequest request;
    request.set_request_id(kRequestId);
    ROTOR_ASSIGN_OR_RETURN(*request.mutable_spec(),
                           prepare_for_job(spec_, earlier, state_, stopped(), console_));
    ROTOR_ASSIGN_OR_RETURN(v1::Job job, client.submit(request));
    if (job.state() == v1::JOB_STATE_PAUSED || job.state() == v1::JOB_STATE_FAILED) {
      return client.resume(job.name());  // a refusal says why the job cannot go on
    }
    return job;
  }

  /// Ends and deletes the jobs of earlier runs, through the coordinator, which cleans up after
  /// them.
  static Status forget_jobs(JobsClient& client) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs, client.list({}, kMostJobs));
    for (const v1::Job& job : jobs) {
      if (!has_ended(job.state())) {
        const Result<v1::Job> ended = client.cancel(job.name());
        // It may have ended by itself in between.
        if (!ended.ok() && ended.status().code() != Code::kFailedPrecondition) {
          return ended.status();
        }
      }
      ROTOR_RETURN_IF_ERROR(client.remove(job.name()));
    }
    return {};
  }

  /// --restart must help where the store itself is what cannot be used.
  Status start_coordinator() {
    Status status = coordinator_.start(tick());
    if (!status.ok() && options_.local.restart && status.reason() != kReasonInterrupted) {
      console_.note("the state of the earlier run cannot be used; removing it");
      ROTOR_RETURN_IF_ERROR(state_.forget());
      status = coordinator_.start(tick());
    }
    return status;
  }

  Result<v1::Job> open_job() {
    if (options_.local.restart && is_there(spec_.output())) {
      return already_exists(spec_.output() + " exists, and --restart overwrites no checkpoint")
          .with_reason(kOutputExists)
          .with_detail("output", spec_.output())
          .with_detail("remedy", "remove it, or name another --output");
    }
    ROTOR_RETURN_IF_ERROR(start_coordinator());
    JobsClient jobs = client();
    if (options_.local.restart) {
      ROTOR_RETURN_IF_ERROR(forget_jobs(jobs));
    }
    Result<v1::Job> job = submit(jobs);
    if (!job.ok()) {
      refused_ = failure_.ok() && job.status().reason() != kReasonInterrupted;
      return explain_conflict(job.status());
    }
    if (job->state() == v1::JOB_STATE_SUCCEEDED && !is_there(job->output_path())) {
      console_.note("the checkpoint of the last run is gone; beginning anew");
      ROTOR_RETURN_IF_ERROR(forget_jobs(jobs));
      return submit(jobs);
    }
    return job;
  }

  Result<v1::Report> run() {
    ROTOR_ASSIGN_OR_RETURN(const v1::Job job, open_job());
    if (has_ended(job.state())) {
      const bool done = job.state() == v1::JOB_STATE_SUCCEEDED;
      console_.note(done ? "already done; this is its report"
                         : "the last run ended without a checkpoint; --restart begins anew");
      ROTOR_RETURN_IF_ERROR(done ? check_checkpoint(job.output_path()) : Status());
      return report(job.name());
    }
    if (job.committed_layers() > 0) {
      console_.note("going on with " + std::to_string(job.committed_layers()) + " of " +
                    std::to_string(job.layers()) + " layers committed");
    }
    Supervisor supervisor(coordinator_, gang_, console_, stop_count_);
    const Status status = supervisor.run(job);
    if (status.reason() == kReasonInterrupted) {
      console_.note("stopping: the ranks commit what they can; again to stop at once");
    }
    Result<v1::Report> result = status.ok() ? report(job.name()) : Result<v1::Report>(status);
    supervisor.stop();
    return result;
  }

  Result<v1::Report> report(const std::string& name) { return client().report(name); }

  const QuantizeOptions& options_;
  const v1::JobSpec& spec_;
  StateDir& state_;
  const std::function<int()>& stop_count_;
  Console& console_;
  PrivateCoordinator coordinator_;
  Gang gang_;
  Status failure_;        // of the coordinator, while a client waited
  bool refused_ = false;  // there is no job: nothing is left behind
};

Status check_groups(const LocalOptions& local) {
  if (local.ranks_per_group == 0 || local.ranks % local.ranks_per_group == 0) {
    return {};
  }
  return invalid_argument("--ranks-per-group " + std::to_string(local.ranks_per_group) +
                          " does not divide --ranks " + std::to_string(local.ranks) +
                          ": choose numbers of which one divides the other")
      .with_reason(kReasonUsage)
      .with_detail("option", "--ranks-per-group");
}

/// And what else has to stand before a coordinator and ranks are started.
Result<StateDir> open_state(const QuantizeOptions& options, const v1::JobSpec& spec) {
  const std::string& named = options.local.state_dir;
  ROTOR_ASSIGN_OR_RETURN(
      StateDir state,
      StateDir::open(named.empty() ? default_state_dir(beside_existing(spec.output()))
                                   : std::filesystem::absolute(named)));
  // Meant for a coordinator elsewhere; the private one speaks no TLS, and ranks inherit these.
  for (const char* name : {"ROTOR_TLS_CA", "ROTOR_TLS_CERT", "ROTOR_TLS_KEY"}) {
    ::unsetenv(name);
  }
  adopt_orphans();
  return state;
}

}  // namespace

Result<Programs> find_programs() {
  Programs programs;
  ROTOR_ASSIGN_OR_RETURN(programs.mpirun, find_mpirun());
  ROTOR_ASSIGN_OR_RETURN(programs.coordinator, find_sibling("rotor-coordinator"));
  ROTOR_ASSIGN_OR_RETURN(programs.worker, find_sibling("rotor-worker"));
  return programs;
}

Result<v1::Job> plan_job(const QuantizeOptions& options, const Programs& programs,
                         const std::function<int()>& stop_count, Console& console) {
  v1::JobSpec spec = options.job.spec;
  resolve_links(spec);
  ROTOR_ASSIGN_OR_RETURN(StateDir state, open_state(options, spec));
  return QuantizeRun(options, spec, state, programs, stop_count, console).plan();
}

int quantize(const QuantizeOptions& options, const Programs& programs,
             const std::function<int()>& stop_count, Console& console) {
  if (const Status status = check_groups(options.local); !status.ok()) {
    return console.fail(status);
  }
  if (options.validate_only) {
    const Result<v1::Job> plan = plan_job(options, programs, stop_count, console);
    return plan.ok() ? show_plan(console, *plan) : console.fail(plan.status());
  }
  v1::JobSpec spec = options.job.spec;
  resolve_links(spec);
  if (const Status status = make_parent(spec.output(), console); !status.ok()) {
    return console.fail(status);
  }
  Result<StateDir> state = open_state(options, spec);
  if (!state.ok()) {
    return console.fail(state.status());
  }
  return QuantizeRun(options, spec, *state, programs, stop_count, console).go();
}

}  // namespace rotor::cli
