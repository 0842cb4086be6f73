// Keeps a private coordinator and a gang alive until their job has ended: what dies is started
// again, at most three times without a new committed layer (restart_policy.h).
//
// Thread-safety: one thread. Errors: reason INTERRUPTED when `stop_count` rises above zero;
// NO_PROGRESS with the end of the log when the same program keeps dying; WRONG_CONFIGURATION when
// it says so itself (exit 78 or 2), without a second try.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "ops/cli/gang.h"
#include "ops/cli/private_coordinator.h"
#include "ops/cli/progress.h"
#include "ops/cli/restart_policy.h"

namespace rotor::cli {

class Supervisor {
 public:
  Supervisor(PrivateCoordinator& coordinator, Gang& gang, Console& console,
             std::function<int()> stop_count);

  /// Returns OK once the job has ended, well or not. Both programs are left as they are.
  Status run(const v1::Job& job);
  /// Ends both: the ranks get 25 s to commit what they can, less when `stop_count` rises again.
  void stop();

 private:
  struct Watched {
    std::string name;
    std::filesystem::path log;
    RestartPolicy policy;
    std::optional<double> restart_at;  // steady seconds; set: it is dead, and waits
  };

  bool tick();
  /// Looks at one program; `restart` starts it. An error ends the run.
  Status watch_over(Watched& watched, const std::optional<ExitStatus>& ended,
                    const std::function<Status()>& restart);

  PrivateCoordinator& coordinator_;
  Gang& gang_;
  Console& console_;
  std::function<int()> stop_count_;
  Watched watched_coordinator_;
  Watched watched_gang_;
  ProgressView* view_ = nullptr;  // of the run that is going on
  Status failure_;
};

}  // namespace rotor::cli
