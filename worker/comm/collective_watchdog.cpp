#include "worker/comm/collective_watchdog.h"

#include <optional>
#include <utility>

#include "worker/comm/environment_seconds.h"

namespace rotor::worker {

CollectiveWatchdog::CollectiveWatchdog(Options options)
    : options_(std::move(options)), thread_([this] { run(); }) {}

CollectiveWatchdog::~CollectiveWatchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CollectiveWatchdog::watch(std::string what, Probe finished) {
  {
    const std::lock_guard lock(mutex_);
    under_way_.push_back({std::move(what), std::move(finished), Clock::now()});
  }
  changed_.notify_all();
}

void CollectiveWatchdog::run() {
  if (options_.prepare_thread) {
    options_.prepare_thread();
  }
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (under_way_.empty()) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    const Status status = check_first();
    if (!status.ok()) {
      options_.give_up(status);
      return;
    }
    lock.lock();
  }
}

Status CollectiveWatchdog::check_first() {
  std::unique_lock lock(mutex_);
  Work& first = under_way_.front();  // a deque's elements stay while others are added behind
  lock.unlock();
  Result<bool> finished = first.finished();
  if (!finished.ok()) {
    return finished.status().with_context(first.what);
  }
  const Clock::time_point now = Clock::now();
  if (!*finished && now - first.since >= options_.timeout) {
    const auto seconds = std::chrono::duration<double>(options_.timeout).count();
    return Status(Code::kDeadlineExceeded,
                  first.what + " has not ended within " + std::to_string(seconds) + " seconds")
        .with_reason("COLLECTIVE_TIMEOUT");
  }
  lock.lock();
  if (!*finished) {
    changed_.wait_for(lock, options_.poll, [this] { return stop_; });
    return {};
  }
  const Work done = std::move(under_way_.front());
  under_way_.pop_front();
  if (!under_way_.empty()) {
    under_way_.front().since = now;
  }
  lock.unlock();  // before `done` goes: a probe's destructor may take its time
  return {};
}

Result<std::chrono::seconds> collective_timeout() {
  ROTOR_ASSIGN_OR_RETURN(const std::optional<std::chrono::seconds> set,
                         environment_seconds("ROTOR_COLLECTIVE_TIMEOUT_SECONDS"));
  return set.value_or(CollectiveWatchdog::kDefaultTimeout);
}

}  // namespace rotor::worker
