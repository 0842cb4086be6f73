// What happens when a program that must live ends: it is started again after a pause, until it has
// died too often without progress (restart_policy.h) or says itself that it cannot run here (exit
// 78 or 2).
//
// Thread-safety: one thread. Errors of check: NO_PROGRESS or WRONG_CONFIGURATION with the end of
// the log.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "ops/cli/console.h"
#include "ops/cli/process.h"
#include "ops/cli/restart_policy.h"

namespace rotor::cli {

class KeepAlive {
 public:
  /// `name`: for messages, such as "the coordinator".
  KeepAlive(std::string name, std::filesystem::path log, Console& console)
      : name_(std::move(name)), log_(std::move(log)), console_(console) {}

  /// It has shown that it can run here: from now on its exit codes 78 and 2 are deaths like others.
  void proven() { proven_ = true; }
  /// A layer was committed.
  void progress() { policy_.progress(); }

  /// To be called about ten times a second with its end, if it has ended; calls `restart` in time.
  Status check(const std::optional<ExitStatus>& ended, const std::function<Status()>& restart);

 private:
  Status died(const ExitStatus& ended);

  std::string name_;
  std::filesystem::path log_;
  Console& console_;
  RestartPolicy policy_;
  bool proven_ = false;
  std::optional<double> restart_at_;  // steady seconds; set: it is dead, and waits
};

}  // namespace rotor::cli
