#include "coordinator/access/first_message.h"

namespace rotor::coordinator {

FirstMessageDeadlines::Wait::Wait(FirstMessageDeadlines* deadlines, grpc::ServerContext* context)
    : deadlines_(deadlines), context_(context) {
  const std::lock_guard lock(deadlines_->mutex_);
  deadlines_->waiting_.emplace(context_, std::chrono::steady_clock::now() + kPatience);
}

void FirstMessageDeadlines::Wait::spoken() {
  const std::lock_guard lock(deadlines_->mutex_);
  deadlines_->waiting_.erase(context_);
}

void FirstMessageDeadlines::cancel_silent() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(waiting_, [now](const auto& entry) {
    const bool over = now >= entry.second;
    if (over) {
      entry.first->TryCancel();
    }
    return over;
  });
}

}  // namespace rotor::coordinator
