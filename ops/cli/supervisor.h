// Keeps a private coordinator and a gang alive until their job has ended (keep_alive.h).
//
// Thread-safety: one thread. Errors: those of KeepAlive, and reason INTERRUPTED when `stop_count`
// rises above zero.
#pragma once

#include <functional>

#include "ops/cli/gang.h"
#include "ops/cli/keep_alive.h"
#include "ops/cli/private_coordinator.h"
#include "ops/cli/progress.h"

namespace rotor::cli {

class Supervisor {
 public:
  Supervisor(PrivateCoordinator& coordinator, Gang& gang, Console& console,
             std::function<int()> stop_count)
      : coordinator_(coordinator),
        gang_(gang),
        console_(console),
        stop_count_(std::move(stop_count)),
        gang_keeper_("the gang of workers", gang.setup().log, console) {}

  /// Starts the gang; returns OK once the job has ended, well or not. Both programs are left as
  /// they are then.
  Status run(const v1::Job& job);
  /// Ends both: the ranks of a job that has not ended get 25 s to commit what they can, less when
  /// `stop_count` rises again.
  void stop();

 private:
  Status tick(ProgressView& view);
  Status why_it_ends(const v1::Cause& cause) const;

  PrivateCoordinator& coordinator_;
  Gang& gang_;
  Console& console_;
  std::function<int()> stop_count_;
  KeepAlive gang_keeper_;
  bool job_ended_ = false;
};

}  // namespace rotor::cli
