#include "ops/cli/supervisor.h"

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "ops/cli/client.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/job_json.h"
#include "proto/errors.h"
#include "proto/pause_reasons.h"

namespace rotor::cli {
namespace {

constexpr double kConnectSeconds = 10;
constexpr auto kDrainTime = std::chrono::seconds(25);
constexpr auto kIdleTime = std::chrono::seconds(2);  // of ranks that have nothing to commit
constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr double kCoordinatorStopSeconds = 10;

constexpr char kRemedy[] = "see the log; the same command goes on from the last committed layer";

}  // namespace

/// Of a pause that nobody but this command could end, and it stands as it did; OK: the job goes on.
Status Supervisor::why_it_ends(const v1::Cause& cause) const {
  if (resumes_by_itself(cause.reason()) || cause.reason() == kPausedByUser) {
    return {};
  }
  if (cause.reason() == kLeasesLost) {
    return from_cause(cause)
        .with_reason(kReasonNoProgress)
        .with_detail("remedy", kRemedy)
        .with_detail("log", gang_.setup().log.string());
  }
  return from_cause(cause);
}

Status Supervisor::run(const v1::Job& job) {
  ProgressView view(console_, job.layers(), job.committed_layers());
  Status failure = gang_.start(coordinator_.address());
  if (!failure.ok()) {
    return failure;
  }
  Status paused;
  JobsClient client(coordinator_.endpoint(), kConnectSeconds, [&] {
    failure = paused.ok() ? tick(view) : paused;
    return failure.ok();
  });
  Status watched =
      client.watch(job.name(), job.revision() + 1, std::numeric_limits<double>::infinity(),
                   [&](const v1::JobEvent& event) {
                     if (event.has_committed()) {
                       coordinator_.progress();
                       gang_keeper_.progress();
                       gang_keeper_.proven();
                     }
                     view.event(event);
                     if (console_.format() == OutputFormat::kJsonLines) {
                       console_.write_json(event_json(event));
                     }
                     if (event.state().state() == v1::JOB_STATE_PAUSED) {
                       paused = why_it_ends(event.state().cause());
                     }
                   });
  if (!failure.ok()) {
    return failure;
  }
  job_ended_ = watched.ok();
  return watched;
}

Status Supervisor::tick(ProgressView& view) {
  if (stop_count_() > 0) {
    return cancelled("interrupted").with_reason(kReasonInterrupted);
  }
  ROTOR_RETURN_IF_ERROR(coordinator_.keep_alive());
  ROTOR_RETURN_IF_ERROR(gang_keeper_.check(gang_.poll(), [this] {
    gang_.kill();  // its ranks may have outlived it
    return gang_.start(coordinator_.address());
  }));
  view.tick();
  return {};
}

void Supervisor::stop() {
  const int before = stop_count_();
  gang_.drain();
  const auto deadline = std::chrono::steady_clock::now() + (job_ended_ ? kIdleTime : kDrainTime);
  // The coordinator goes on serving meanwhile: the ranks commit to it.
  while (!gang_.poll() && stop_count_() == before && std::chrono::steady_clock::now() < deadline &&
         coordinator_.keep_alive().ok()) {
    std::this_thread::sleep_for(kPollInterval);
  }
  gang_.kill();
  coordinator_.stop(kCoordinatorStopSeconds);
}

}  // namespace rotor::cli
