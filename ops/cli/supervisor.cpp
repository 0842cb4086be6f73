#include "ops/cli/supervisor.h"

#include <chrono>
#include <limits>
#include <thread>

#include "ops/cli/client.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/log_tail.h"
#include "ops/cli/units.h"

namespace rotor::cli {
namespace {

constexpr double kConnectSeconds = 10;
constexpr double kDrainSeconds = 25;
constexpr double kCoordinatorStopSeconds = 10;
constexpr int kTailLines = 15;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Status with_log(Status error, const std::filesystem::path& log) {
  return std::move(error)
      .with_detail("log", log.string())
      .with_detail("log-end", log_tail(log, kTailLines));
}

}  // namespace

Supervisor::Supervisor(PrivateCoordinator& coordinator, Gang& gang, Console& console,
                       std::function<int()> stop_count)
    : coordinator_(coordinator),
      gang_(gang),
      console_(console),
      stop_count_(std::move(stop_count)),
      watched_coordinator_{"the coordinator", coordinator.state().coordinator_log(), {}, {}},
      watched_gang_{"the gang of workers", gang.setup().log, {}, {}} {}

Status Supervisor::run(const v1::Job& job) {
  ProgressView view(console_, job.layers(), job.committed_layers());
  view_ = &view;
  JobsClient client(coordinator_.address(), kConnectSeconds, [this] { return tick(); });
  failure_ = gang_.start(coordinator_.address());
  Status watched = failure_;
  if (failure_.ok()) {
    watched = client.watch(job.name(), job.revision() + 1, std::numeric_limits<double>::infinity(),
                           [&](const v1::JobEvent& event) {
                             if (event.has_committed()) {
                               watched_gang_.policy.progress();
                               watched_coordinator_.policy.progress();
                             }
                             view.event(event);
                           });
  }
  view_ = nullptr;
  return failure_.ok() ? watched : failure_;
}

bool Supervisor::tick() {
  if (stop_count_() > 0) {
    failure_ = cancelled("interrupted").with_reason(kReasonInterrupted);
    return false;
  }
  failure_ = watch_over(watched_coordinator_, coordinator_.poll(),
                        [this] { return coordinator_.restart(); });
  if (failure_.ok()) {
    failure_ = watch_over(watched_gang_, gang_.poll(), [this] {
      gang_.kill();  // its ranks may have outlived it
      return gang_.start(coordinator_.address());
    });
  }
  if (failure_.ok() && view_ != nullptr) {
    view_->tick();
  }
  return failure_.ok();
}

Status Supervisor::watch_over(Watched& watched, const std::optional<ExitStatus>& ended,
                              const std::function<Status()>& restart) {
  if (!ended) {
    return {};
  }
  if (watched.restart_at) {
    if (steady_seconds() < *watched.restart_at) {
      return {};
    }
    watched.restart_at.reset();
    return restart();
  }
  if (!ended->signaled && (ended->code == kExitConfiguration || ended->code == kExitUsage)) {
    return with_log(failed_precondition(watched.name + " cannot run here: " + ended->text())
                        .with_reason(kReasonConfiguration),
                    watched.log);
  }
  const std::optional<double> pause = watched.policy.death();
  if (!pause) {
    return with_log(
        aborted(watched.name + " died " + std::to_string(watched.policy.deaths()) +
                " times without a new committed layer, the last time by " + ended->text())
            .with_reason(kReasonNoProgress)
            .with_detail("remedy",
                         "see the log; the same command goes on from the last "
                         "committed layer"),
        watched.log);
  }
  console_.note(watched.name + " ended (" + ended->text() + "); starting it again in " +
                format_duration(*pause));
  watched.restart_at = steady_seconds() + *pause;
  return {};
}

void Supervisor::stop() {
  const int before = stop_count_();
  gang_.drain();
  const double deadline = steady_seconds() + kDrainSeconds;
  // The coordinator goes on serving meanwhile: the ranks commit to it.
  while (gang_.draining() && stop_count_() == before && steady_seconds() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  gang_.kill();
  coordinator_.stop(kCoordinatorStopSeconds);
}

}  // namespace rotor::cli
