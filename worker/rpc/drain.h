// Told to stop (SIGTERM, SIGINT, SIGUSR1 of a batch system): the layer in the making may still be
// committed for 20 s, then the process ends with exit code 75 (faults.md row 20).
//
// The signals have handlers. Blocking them instead would be lost on threads that libraries start
// before main (OpenBLAS does): the kernel gives a process's signal to any thread that takes it, and
// its default action ends them all.
//
// At most one at a time in a process. Thread-safety: all members from any thread. Owns one thread,
// which takes the signals even where the process was started with them blocked.
#pragma once

#include <signal.h>

#include <array>
#include <chrono>
#include <thread>

namespace rotor::worker {

inline constexpr auto kDrainTime = std::chrono::seconds(20);

class Drain {
 public:
  /// Throws std::system_error where there is no thread or no descriptor left.
  Drain();
  /// The process no longer ends by itself; the handlers of before come back.
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  bool requested() const;
  /// As a signal does: another rank of the group was told to stop.
  void request();

 private:
  static constexpr std::array<int, 3> kSignals = {SIGTERM, SIGINT, SIGUSR1};

  void wait();

  std::array<struct sigaction, kSignals.size()> before_{};
  std::thread thread_;
};

}  // namespace rotor::worker
