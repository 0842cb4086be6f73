// Time, injected so that tests let leases run out without waiting.
//
// Thread-safety: from any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace rotor::coordinator {

class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  /// For durations and leases: never set back.
  virtual Time monotonic() const = 0;
  /// For people: microseconds since the epoch.
  virtual int64_t wall_us() const = 0;
};

class SystemClock final : public Clock {
 public:
  Time monotonic() const override { return std::chrono::steady_clock::now(); }
  int64_t wall_us() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace rotor::coordinator
