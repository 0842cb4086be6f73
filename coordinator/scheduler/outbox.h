// Messages on their way to one worker group. The core puts them in without waiting; the thread that
// serves the group's stream takes them out and sends them.
//
// Thread-safety: from any thread. Cost: a group that does not read holds at most kMostWaiting
// messages; past them the outbox closes and its stream with it.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "rotor/v1/workers.pb.h"

namespace rotor::coordinator {

class Outbox {
 public:
  static constexpr size_t kMostWaiting = 1024;

  void push(v1::CoordinatorMessage message);
  /// Waits for a message; empty once closed and drained.
  std::optional<v1::CoordinatorMessage> pop();
  /// What was put in before is still given out.
  void close();
  bool closed() const;
  bool empty() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::CoordinatorMessage> waiting_;
  bool closed_ = false;
};

}  // namespace rotor::coordinator
