#include "ops/cli/private_coordinator.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "ops/cli/exit_code.h"
#include "ops/cli/log_tail.h"

namespace rotor::cli {
namespace {

constexpr double kServeSeconds = 60;
constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr int kTailLines = 15;

std::string read_port(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string port;
  file >> port;
  return port;
}

}  // namespace

Status PrivateCoordinator::spawn(const std::string& port) {
  std::error_code ignored;
  std::filesystem::remove(state_.port_file(), ignored);
  // The job may read whatever the user who runs this may read, so the roots are the whole tree.
  // Killed, not asked to end, when this program dies: what is committed is durable, and the lock is
  // free at once.
  const Command command = {
      {program_, "--state-dir", state_.coordinator_state().string(), "--listen",
       "127.0.0.1:" + port, "--port-file", state_.port_file().string(), "--model-root", "/",
       "--data-root", "/", "--output-root", output_root_},
      state_.coordinator_log(),
      SIGKILL};
  ROTOR_ASSIGN_OR_RETURN(process_, ChildProcess::start(command));
  return {};
}

Status PrivateCoordinator::died(const ExitStatus& status) const {
  Status error = internal_error("the private coordinator ended: " + status.text())
                     .with_detail("log", state_.coordinator_log().string())
                     .with_detail("log-end", log_tail(state_.coordinator_log(), kTailLines));
  if (!status.signaled && (status.code == kExitConfiguration || status.code == kExitUsage)) {
    return std::move(error).with_reason(kReasonConfiguration);
  }
  return error;
}

Status PrivateCoordinator::start(const std::function<bool()>& tick) {
  ROTOR_RETURN_IF_ERROR(spawn("0"));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(kServeSeconds);
  for (;;) {
    port_ = read_port(state_.port_file());
    if (!port_.empty()) {
      return {};
    }
    if (const std::optional<ExitStatus> ended = process_->poll()) {
      return died(*ended);
    }
    if (!tick()) {
      return cancelled("interrupted while the coordinator was starting")
          .with_reason(kReasonInterrupted);
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return internal_error("the private coordinator did not serve within a minute")
          .with_detail("log", state_.coordinator_log().string())
          .with_detail("log-end", log_tail(state_.coordinator_log(), kTailLines));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

Status PrivateCoordinator::restart() {
  return spawn(port_);
}

void PrivateCoordinator::stop(double seconds) {
  if (process_) {
    process_->signal(SIGTERM);
    process_->wait_for(seconds);
    process_.reset();
  }
}

}  // namespace rotor::cli
