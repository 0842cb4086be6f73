// Told to stop (SIGTERM, SIGINT, SIGUSR1 of a batch system): the layer in the making may still be
// committed for 20 s, then the process ends with exit code 75 (faults.md row 20).
//
// Exactly one a process. Thread-safety: requested() from any thread.
#pragma once

#include <chrono>
#include <thread>

namespace rotor::worker {

inline constexpr auto kDrainTime = std::chrono::seconds(20);

class Drain {
 public:
  /// Blocks the signals in the calling thread (and so in those it makes later) and waits for them
  /// in a thread of its own. Make it before any other thread.
  Drain();
  /// Ends the waiting thread.
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  bool requested() const;

 private:
  std::thread thread_;
};

}  // namespace rotor::worker
