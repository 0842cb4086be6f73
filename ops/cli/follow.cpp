#include "ops/cli/follow.h"

#include <nlohmann/json.hpp>

#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "ops/cli/progress.h"
#include "ops/cli/report_table.h"
#include "ops/cli/signals.h"
#include "proto/errors.h"
#include "quant/base/status_json.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

// How long a watcher waits for a coordinator that is being restarted.
constexpr double kAwaySeconds = 120;

}  // namespace

Status job_outcome(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_CANCELLED) {
    return cancelled(job.name() + " was cancelled").with_reason(kReasonJobCancelled);
  }
  if (job.state() != v1::JOB_STATE_FAILED) {
    return {};
  }
  const Status cause = from_cause(job.cause());
  Status outcome = Status(cause.ok() ? Code::kUnknown : cause.code(),
                          job.name() + " failed: " + job.cause().message())
                       .with_reason(kReasonJobFailed);
  if (!job.cause().reason().empty()) {
    outcome = std::move(outcome).with_detail("reason", job.cause().reason());
  }
  for (const auto& [key, value] : job.cause().details()) {
    outcome = std::move(outcome).with_detail(key, value);
  }
  return outcome;
}

int show_job(Console& console, const v1::Job& job) {
  if (console.json()) {
    console.write_json(job_json(job));
  } else {
    console.out() << job_text(job, console) << std::flush;
  }
  return kExitDone;
}

int show_plan(Console& console, const v1::Job& job) {
  show_job(console, job);
  return job.problems().empty() ? kExitDone : kExitUsage;
}

int finish_job(Console& console, const v1::Report& report, bool all) {
  const Status outcome = job_outcome(report.job());
  if (console.json()) {
    Json json = report_json(report);
    if (!outcome.ok()) {
      json["error"] = error_json(outcome);
    }
    console.write_json(json);
    return exit_code(outcome);
  }
  console.out() << report_text(report, all, console) << std::flush;
  return outcome.ok() ? kExitDone : console.fail(outcome);
}

Status wait_for_job(const Endpoint& coordinator, double timeout_seconds, Console& console,
                    const v1::Job& job, int64_t from_revision) {
  const bool from_start = from_revision <= 1;
  ProgressView view(console, job.layers(), from_start ? 0 : job.committed_layers());
  const StopSignals signals;
  JobsClient client(coordinator, timeout_seconds, [&] {
    view.tick();
    return !signals.stopped();
  });
  client.on_contact([&](bool here) {
    console.note(here ? "the coordinator at " + coordinator.address + " is back"
                      : "the coordinator at " + coordinator.address +
                            " is gone; waiting for it up to " + format_duration(kAwaySeconds));
  });
  const Status status =
      client.watch(job.name(), from_revision, kAwaySeconds, [&](const v1::JobEvent& event) {
        view.event(event);
        if (console.format() == OutputFormat::kJsonLines) {
          console.write_json(event_json(event));
        }
      });
  if (status.reason() == kReasonInterrupted) {
    return cancelled("no longer watching; " + job.name() + " goes on")
        .with_reason(kReasonInterrupted)
        .with_detail("remedy",
                     "rotor watch " + job.name() + " --coordinator " + coordinator.address);
  }
  return status;
}

}  // namespace rotor::cli
