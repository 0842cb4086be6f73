// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>

#include "coordinator/scheduler/clock.h"

namespace rotor::testing {

class FakeClock final : public coordinator::Clock {
 public:
  Time monotonic() const override { return Time(std::chrono::microseconds(now_us_.load())); }
  int64_t wall_us() const override { return 1'700'000'000'000'000 + now_us_ + wall_offset_us_; }
  void advance(std::chrono::microseconds step) { now_us_ += step.count(); }
  /// Somebody sets the wall clock; the steady one goes on.
  void set_wall(std::chrono::microseconds step) { wall_offset_us_ += step.count(); }

 private:
  std::atomic<int64_t> now_us_{1'000'000};
  std::atomic<int64_t> wall_offset_us_{0};
};

}  // namespace rotor::testing
