#include "ops/cli/keep_alive.h"

#include <chrono>

#include "ops/cli/exit_code.h"
#include "ops/cli/log_tail.h"
#include "quant/base/units.h"

namespace rotor::cli {
namespace {

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

Status KeepAlive::check(const std::optional<ExitStatus>& ended,
                        const std::function<Status()>& restart) {
  if (!ended) {
    return {};
  }
  if (!restart_at_) {
    return died(*ended);
  }
  if (steady_seconds() < *restart_at_) {
    return {};
  }
  restart_at_.reset();
  return restart();
}

Status KeepAlive::died(const ExitStatus& ended) {
  const bool refused =
      !ended.signaled && (ended.code == kExitConfiguration || ended.code == kExitUsage);
  if (refused && !proven_) {
    return with_log(failed_precondition(name_ + " cannot run here: " + ended.text())
                        .with_reason(kReasonConfiguration),
                    log_);
  }
  const std::optional<double> pause = policy_.death();
  if (!pause) {
    return with_log(
        aborted(name_ + " died " + std::to_string(policy_.deaths()) +
                " times without a new committed layer, the last time by " + ended.text())
            .with_reason(kReasonNoProgress)
            .with_detail("remedy",
                         "see the log; the same command goes on from the last "
                         "committed layer"),
        log_);
  }
  console_.note(name_ + " ended (" + ended.text() + "); starting it again in " +
                format_duration(*pause));
  restart_at_ = steady_seconds() + *pause;
  return {};
}

}  // namespace rotor::cli
