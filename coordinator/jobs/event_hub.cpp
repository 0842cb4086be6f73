#include "coordinator/jobs/event_hub.h"

namespace rotor::coordinator {

void EventHub::notify() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  changed_.notify_all();
}

void EventHub::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool EventHub::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

int64_t EventHub::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

void EventHub::wait_past(int64_t seen, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return stopped_ || generation_ > seen; });
}

}  // namespace rotor::coordinator
