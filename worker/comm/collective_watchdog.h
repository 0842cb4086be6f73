// Notices that a collective does not end: a rank that died where mpirun does not see it, hangs in a
// kernel, or went another way than the others. Waiting longer would hold a GPU for nothing, so the
// owner is told and ends the process; mpirun then ends the gang, which is started again.
//
// A piece of work counts as hanging when it has not finished within the timeout since it was
// handed over, or since the one before it finished: work is done in the order of watch().
//
// Owns: one thread. Thread-safety: watch() from one thread. Cost: a poll every tenth of a second
// while something is under way, nothing otherwise.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "quant/base/status.h"

namespace rotor::worker {

class CollectiveWatchdog {
 public:
  static constexpr std::chrono::seconds kDefaultTimeout{600};

  /// Whether a piece of work has finished; an error where it never will.
  using Probe = std::function<Result<bool>()>;

  struct Options {
    std::chrono::milliseconds timeout = kDefaultTimeout;
    std::chrono::milliseconds poll{100};
    /// Called on the thread before anything else.
    std::function<void()> prepare_thread;
    /// Called on the thread, once: DEADLINE_EXCEEDED (reason COLLECTIVE_TIMEOUT) or the error of a
    /// probe, with the work's name. Nothing is watched any more when it returns.
    std::function<void(const Status&)> give_up;
  };

  explicit CollectiveWatchdog(Options options);
  /// Forgets what is under way.
  ~CollectiveWatchdog();
  CollectiveWatchdog(const CollectiveWatchdog&) = delete;
  CollectiveWatchdog& operator=(const CollectiveWatchdog&) = delete;

  /// `finished` is called on the thread, until it says true, and then destroyed there.
  void watch(std::string what, Probe finished);

 private:
  using Clock = std::chrono::steady_clock;
  struct Work {
    std::string what;
    Probe finished;
    Clock::time_point since;
  };

  void run();
  Status check_first();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> under_way_;  // only the thread takes from it
  bool stop_ = false;
  std::thread thread_;
};

/// The timeout that ROTOR_COLLECTIVE_TIMEOUT_SECONDS sets, or the default. INVALID_ARGUMENT for
/// what is not a number of seconds from 1 to 10^6.
Result<std::chrono::seconds> collective_timeout();

}  // namespace rotor::worker
