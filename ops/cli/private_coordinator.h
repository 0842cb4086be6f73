// The coordinator of one `rotor quantize`: it serves on loopback, on a port of its own choosing,
// which it keeps when it is started again, so that workers and watchers find it where it was. Other
// users of the host can reach the port: whoever calls must show a token that only this user can
// read.
//
// Thread-safety: one thread. The process dies with this object and with this program.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ops/cli/keep_alive.h"
#include "ops/cli/process.h"
#include "ops/cli/state_dir.h"
#include "proto/transport/client_security.h"

namespace rotor::cli {

class PrivateCoordinator {
 public:
  /// `program`: rotor-coordinator. `output_root`: the directory above the output.
  PrivateCoordinator(std::string program, const StateDir& state, std::string output_root,
                     Console& console)
      : program_(std::move(program)),
        state_(state),
        output_root_(std::move(output_root)),
        keeper_("the private coordinator", state.coordinator_log(), console) {}

  /// Starts it and waits until it serves. `tick` runs while waiting; false ends it with CANCELLED,
  /// reason INTERRUPTED. Errors: those of KeepAlive; INTERNAL where it does not serve within a
  /// minute.
  Status start(const std::function<bool()>& tick);
  /// To be called often while it must live: starts it again when it has died.
  Status keep_alive();
  void progress() { keeper_.progress(); }
  /// SIGTERM, then SIGKILL after `seconds`.
  void stop(double seconds);

  /// "127.0.0.1:PORT", once started.
  std::string address() const { return "127.0.0.1:" + port_; }
  Endpoint endpoint() const;

 private:
  Status make_token() const;
  Status spawn();

  std::string program_;
  const StateDir& state_;
  std::string output_root_;
  KeepAlive keeper_;
  std::string port_ = "0";  // 0: any that is free
  std::optional<ChildProcess> process_;
};

}  // namespace rotor::cli
