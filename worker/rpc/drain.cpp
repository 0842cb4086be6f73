#include "worker/rpc/drain.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "quant/base/exit_codes.h"

namespace rotor::worker {
namespace {

// Of the one Drain: a signal handler can reach nothing else.
std::atomic<bool> drain_requested{false};
std::atomic<bool> drain_over{false};
std::atomic<int> wake_fd{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler uses them");

void wake() {
  const uint64_t one = 1;
  // Full is woken enough.
  [[maybe_unused]] const ssize_t written = write(wake_fd.load(), &one, sizeof(one));
}

void on_signal(int /*number*/) {
  const int error = errno;
  drain_requested.store(true);
  wake();
  errno = error;
}

/// Returns at the next wake(), or after `milliseconds` (-1: never); false then.
bool wait_for_wake(int milliseconds) {
  pollfd woken{wake_fd.load(), POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&woken, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  uint64_t count = 0;
  return ready > 0 && read(woken.fd, &count, sizeof(count)) == sizeof(count);
}

}  // namespace

Drain::Drain() {
  drain_requested.store(false);
  drain_over.store(false);
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  wake_fd.store(fd);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
  }
  thread_ = std::thread([this] { wait(); });
}

Drain::~Drain() {
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
  drain_over.store(true);
  wake();
  thread_.join();
  close(wake_fd.exchange(-1));
}

bool Drain::requested() const {
  return drain_requested.load();
}

void Drain::request() {
  drain_requested.store(true);
  wake();
}

void Drain::wait() {
  sigset_t mine;
  sigemptyset(&mine);
  for (const int signal : kSignals) {
    sigaddset(&mine, signal);
  }
  pthread_sigmask(SIG_UNBLOCK, &mine, nullptr);
  while (!drain_requested.load() && !drain_over.load()) {
    wait_for_wake(-1);
  }
  const auto deadline = std::chrono::steady_clock::now() + kDrainTime;
  while (!drain_over.load()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      // Other threads are inside collectives and kernels: nothing orderly is left to do, and
      // nothing that was acknowledged is lost.
      _exit(kExitInterrupted);
    }
    wait_for_wake(static_cast<int>(left.count()));
  }
}

}  // namespace rotor::worker
