// How many submits are validated side by side: their memory and their reading are bounded. Two with
// the same request id go one after the other, so that they become one job.
//
// Thread-safety: from any thread. Errors: CANCELLED where the caller has gone; RESOURCE_EXHAUSTED,
// reason TOO_MANY_CALLS, where too many wait already.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "quant/base/status.h"

namespace rotor::coordinator {

class ValidationSlots {
 public:
  static constexpr size_t kMostRunning = 4;
  static constexpr int kMostWaiting = 128;

  class Slot {
   public:
    Slot(ValidationSlots* slots, std::multiset<std::string>::iterator id)
        : slots_(slots), id_(id) {}
    Slot(Slot&& other) noexcept : slots_(other.slots_), id_(other.id_) { other.slots_ = nullptr; }
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    ValidationSlots* slots_;
    std::multiset<std::string>::iterator id_;
  };

  /// Waits for its turn. `request_id` empty: no other has the same.
  Result<Slot> enter(const std::string& request_id, const std::function<bool()>& cancelled);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multiset<std::string> running_;
  int waiting_ = 0;
};

}  // namespace rotor::coordinator
