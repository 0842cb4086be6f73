// Where the time of a layer goes: seconds and floating-point operations by phase.
//
// A backend may be asynchronous; its phases then mean host time unless the caller waits at their
// ends. Thread-safety: none, the main thread's.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace rotor::worker {

struct PhaseTime {
  double seconds = 0.0;
  double flops = 0.0;
};

/// By phase: load, forward, hessian, rotate, scales, factor, solve, error, gather, upload, wait.
using PhaseTimes = std::map<std::string, PhaseTime>;

/// Adds the time from its construction to its end to one phase.
class PhaseScope {
 public:
  PhaseScope(PhaseTimes& times, const char* phase, double flops = 0.0)
      : time_(times[phase]), start_(std::chrono::steady_clock::now()) {
    time_.flops += flops;
  }
  ~PhaseScope() {
    time_.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  PhaseTime& time_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rotor::worker
