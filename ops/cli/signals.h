// SIGINT, SIGTERM, SIGHUP and SIGUSR1 (a batch system's warning) as a counter that loops look at,
// for as long as an object lives. One object at a time; the handlers of before come back at its
// end.
#pragma once

#include <array>
#include <csignal>

namespace rotor::cli {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// How many came since the object was made. The second one means: now.
  int count() const;
  bool stopped() const { return count() > 0; }

 private:
  static constexpr std::array<int, 4> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace rotor::cli
