#include "coordinator/jobs/validation_slots.h"

#include <chrono>

namespace rotor::coordinator {
namespace {

/// How often one who waits looks whether its caller is still there.
constexpr std::chrono::milliseconds kLook{200};

}  // namespace

ValidationSlots::Slot::~Slot() {
  if (slots_ != nullptr) {
    const std::lock_guard lock(slots_->mutex_);
    slots_->running_.erase(id_);
    slots_->changed_.notify_all();
  }
}

Result<ValidationSlots::Slot> ValidationSlots::enter(const std::string& request_id,
                                                     const std::function<bool()>& cancelled_call) {
  std::unique_lock lock(mutex_);
  if (waiting_ >= kMostWaiting) {
    return resource_exhausted(std::to_string(waiting_) +
                              " submits wait to be validated already; try again later")
        .with_reason("TOO_MANY_CALLS");
  }
  ++waiting_;
  const auto may_run = [&] {
    return running_.size() < kMostRunning &&
           (request_id.empty() || running_.count(request_id) == 0);
  };
  bool gone = false;
  while (!changed_.wait_for(lock, kLook, may_run) && !gone) {
    gone = cancelled_call();
  }
  --waiting_;
  if (gone) {
    return cancelled("the caller has gone");
  }
  return Slot(this, running_.insert(request_id));
}

}  // namespace rotor::coordinator
