#include "coordinator/scheduler/outbox.h"

#include <utility>

namespace rotor::coordinator {

void Outbox::push(v1::CoordinatorMessage message) {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    return;
  }
  if (waiting_.size() >= kMostWaiting) {
    closed_ = true;
  } else {
    waiting_.push_back(std::move(message));
  }
  changed_.notify_all();
}

std::optional<v1::CoordinatorMessage> Outbox::pop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
  if (waiting_.empty()) {
    return std::nullopt;
  }
  v1::CoordinatorMessage message = std::move(waiting_.front());
  waiting_.pop_front();
  return message;
}

void Outbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool Outbox::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

bool Outbox::empty() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

}  // namespace rotor::coordinator
