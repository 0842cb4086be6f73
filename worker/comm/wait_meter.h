// How often, and for how long, a rank has waited in collectives. One thread waits, any thread
// reads. Cost: two readings of the clock a collective.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace rotor::worker {

class WaitMeter {
 public:
  /// One collective, as long as the object lives. Collectives made of others count as one.
  class Scope {
   public:
    explicit Scope(WaitMeter& meter) : meter_(meter) {
      if (meter_.depth_++ == 0) {
        ++meter_.collectives_;
        meter_.since_.store(now());
      }
    }
    ~Scope() {
      if (--meter_.depth_ == 0) {
        const int64_t since = meter_.since_.exchange(0);
        meter_.waited_ += now() - since;
      }
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    WaitMeter& meter_;
  };

  uint64_t collectives() const { return collectives_.load(); }
  /// Seconds, that of the collective under way included.
  double waited() const {
    const int64_t since = since_.load();
    return 1e-9 * static_cast<double>(waited_.load() + (since == 0 ? 0 : now() - since));
  }

 private:
  static int64_t now() {
    return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  }

  int depth_ = 0;
  std::atomic<uint64_t> collectives_{0};
  std::atomic<int64_t> waited_{0};  // ns
  std::atomic<int64_t> since_{0};   // ns; 0: in no collective
};

}  // namespace rotor::worker
