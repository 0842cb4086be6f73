// The coordinator of one `rotor quantize`: it serves on loopback, on a port of its own choosing,
// which it keeps when it is started again, so that workers and watchers find it where it was.
//
// Thread-safety: one thread. The process dies with this object and with this program.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ops/cli/process.h"
#include "ops/cli/state_dir.h"

namespace rotor::cli {

class PrivateCoordinator {
 public:
  /// `program`: rotor-coordinator. `output_root`: the directory above the output.
  PrivateCoordinator(std::string program, const StateDir& state, std::string output_root)
      : program_(std::move(program)), state_(state), output_root_(std::move(output_root)) {}

  /// Starts it and waits until it serves. `tick` runs while waiting; false ends it with CANCELLED,
  /// reason INTERRUPTED. Errors: INTERNAL with the end of its log where it ended or never served;
  /// where it exited 78 or 2, reason WRONG_CONFIGURATION.
  Status start(const std::function<bool()>& tick);
  /// Starts one that died, on its old port, without waiting.
  Status restart();
  std::optional<ExitStatus> poll() { return process_ ? process_->poll() : std::nullopt; }
  /// SIGTERM, then SIGKILL after `seconds`.
  void stop(double seconds);

  /// "127.0.0.1:PORT", once started.
  std::string address() const { return "127.0.0.1:" + port_; }
  const StateDir& state() const { return state_; }

 private:
  Status spawn(const std::string& port);
  Status died(const ExitStatus& status) const;

  std::string program_;
  const StateDir& state_;
  std::string output_root_;
  std::string port_;
  std::optional<ChildProcess> process_;
};

}  // namespace rotor::cli
