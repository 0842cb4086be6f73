// Wakes watchers when a job has changed. It carries no events: a watcher reads those from the
// store, at its own pace, so a slow one holds nothing up and costs no memory.
//
// Thread-safety: from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace rotor::coordinator {

class EventHub {
 public:
  void notify();
  /// Ends all waits for good.
  void stop();
  bool stopped() const;
  int64_t generation() const;
  /// Returns once the generation is past `seen`, the hub stopped, or `timeout` is over.
  void wait_past(int64_t seen, std::chrono::milliseconds timeout);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t generation_ = 0;
  bool stopped_ = false;
};

}  // namespace rotor::coordinator
