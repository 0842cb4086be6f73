// Where the time of a layer goes: seconds, floating-point operations and bytes by phase.
//
// A backend may be asynchronous: its phases then mean the host's time, which is right for a job
// (nobody should wait for a clock) and useless for a benchmark. wait_with() makes phases wait for
// the device at both ends; that takes away what would have overlapped.
//
// Thread-safety: none, the main thread's.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace rotor::worker {

struct PhaseTime {
  double seconds = 0.0;
  double flops = 0.0;
  double bytes = 0.0;  // that have to be moved, where that is what a phase is about
};

/// By phase: load, forward, hessian, rotate, scales, factor, solve, error, gather, dequantize,
/// upload, wait.
class PhaseTimes {
 public:
  using ByName = std::map<std::string, PhaseTime>;

  PhaseTime& operator[](const std::string& phase) { return phases_[phase]; }
  ByName::const_iterator begin() const { return phases_.begin(); }
  ByName::const_iterator end() const { return phases_.end(); }

  void add(const PhaseTimes& other) {
    for (const auto& [name, time] : other) {
      PhaseTime& mine = phases_[name];
      mine.seconds += time.seconds;
      mine.flops += time.flops;
      mine.bytes += time.bytes;
    }
  }
  /// Adds what ran at the same time within `seconds` of the caller's: those are shared out over the
  /// phases as `other` shares out its own.
  void add_within(PhaseTimes other, double seconds) {
    double sum = 0.0;
    for (const auto& [name, time] : other) {
      sum += time.seconds;
    }
    for (auto& [name, time] : other.phases_) {
      time.seconds *= sum > 0.0 ? seconds / sum : 0.0;
    }
    add(other);
  }

  /// `wait` is called at both ends of every phase.
  void wait_with(std::function<void()> wait) { wait_ = std::move(wait); }
  void wait() const {
    if (wait_) {
      wait_();
    }
  }

 private:
  ByName phases_;
  std::function<void()> wait_;
};

/// Adds the time from its construction to its end to one phase.
class PhaseScope {
 public:
  PhaseScope(PhaseTimes& times, const char* phase, double flops = 0.0, double bytes = 0.0)
      : times_(times), time_(times[phase]) {
    time_.flops += flops;
    time_.bytes += bytes;
    times_.wait();
    start_ = std::chrono::steady_clock::now();
  }
  ~PhaseScope() {
    times_.wait();
    time_.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  const PhaseTimes& times_;
  PhaseTime& time_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rotor::worker
