#include "worker/comm/collective_watchdog.h"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace rotor::worker {
namespace {

constexpr int kMostSeconds = 1000000;

}  // namespace

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
  constexpr const char* kVariable = "ROTOR_COLLECTIVE_TIMEOUT_SECONDS";
  const char* text = std::getenv(kVariable);
  if (text == nullptr) {
    return CollectiveWatchdog::kDefaultTimeout;
  }
  const std::string_view value(text);
  int seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size() || seconds < 1 ||
      seconds > kMostSeconds) {
    return invalid_argument("the environment's " + std::string(kVariable) + " is \"" +
                            std::string(value) + "\": it must be a whole number of seconds, 1 to " +
                            std::to_string(kMostSeconds))
        .with_reason("BAD_ENVIRONMENT")
        .with_detail("key", kVariable);
  }
  return std::chrono::seconds(seconds);
}

}  // namespace rotor::worker
