#include "ops/cli/private_coordinator.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "ops/cli/exit_code.h"
#include "proto/transport/random_hex.h"
#include "quant/base/sha256.h"

namespace rotor::cli {
namespace {

constexpr auto kServeTime = std::chrono::seconds(60);
constexpr size_t kTokenBytes = 32;
constexpr auto kPollInterval = std::chrono::milliseconds(50);

std::string read_port(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string port;
  file >> port;
  return port;
}

}  // namespace

Status PrivateCoordinator::make_token() const {
  ROTOR_ASSIGN_OR_RETURN(const std::string token, random_hex(kTokenBytes));
  ROTOR_RETURN_IF_ERROR(write_private_file(state_.token_file(), token + "\n"));
  return write_private_file(state_.tokens_file(),
                            "quantize admin sha256:" + sha256_hex(token) + "\n");
}

Endpoint PrivateCoordinator::endpoint() const {
  ClientSecurity security;
  security.token_file = state_.token_file().string();
  return {address(), security};
}

Status PrivateCoordinator::spawn() {
  std::error_code ignored;
  std::filesystem::remove(state_.port_file(), ignored);
  // The job may read whatever the user who runs this may read, so the roots are the whole tree.
  // Killed, not asked to end, when this program dies: what is committed is durable, and the lock is
  // free at once.
  const Command command = {
      {program_, "--state-dir", state_.coordinator_state().string(), "--listen", address(),
       "--port-file", state_.port_file().string(), "--model-root", "/", "--data-root", "/",
       "--output-root", output_root_, "--tokens", state_.tokens_file().string()},
      state_.coordinator_log(),
      SIGKILL};
  ROTOR_ASSIGN_OR_RETURN(process_, ChildProcess::start(command));
  return {};
}

Status PrivateCoordinator::start(const std::function<bool()>& tick) {
  const auto deadline = std::chrono::steady_clock::now() + kServeTime;
  ROTOR_RETURN_IF_ERROR(make_token());
  ROTOR_RETURN_IF_ERROR(spawn());
  for (;;) {
    if (const std::string port = read_port(state_.port_file()); !port.empty()) {
      port_ = port;
      keeper_.proven();
      return {};
    }
    ROTOR_RETURN_IF_ERROR(keep_alive());
    if (!tick()) {
      return cancelled("interrupted while the coordinator was starting")
          .with_reason(kReasonInterrupted);
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return internal_error("the private coordinator did not serve within a minute")
          .with_detail("log", state_.coordinator_log().string());
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

Status PrivateCoordinator::keep_alive() {
  return process_ ? keeper_.check(process_->poll(), [this] { return spawn(); }) : Status();
}

void PrivateCoordinator::stop(double seconds) {
  if (process_) {
    process_->signal(SIGTERM);
    process_->wait_for(seconds);
    process_.reset();
  }
}

}  // namespace rotor::cli
