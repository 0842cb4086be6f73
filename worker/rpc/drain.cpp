#include "worker/rpc/drain.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "quant/base/exit_codes.h"

namespace rotor::worker {
namespace {

std::atomic<bool> drain_requested{false};

// Wakes the waiting thread at the end of the process; no user sends it.
constexpr int kStopSignal = SIGUSR2;

sigset_t drain_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, kStopSignal}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

void wait_for_signal() {
  const sigset_t signals = drain_signals();
  int signal = 0;
  sigwait(&signals, &signal);
  if (signal == kStopSignal) {
    return;
  }
  drain_requested.store(true);
  const timespec drain_time{std::chrono::seconds(kDrainTime).count(), 0};
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, kStopSignal);
  if (sigtimedwait(&stop, nullptr, &drain_time) != kStopSignal) {
    // Other threads are inside collectives and kernels: nothing orderly is left to do, and nothing
    // that was acknowledged is lost.
    _exit(kExitInterrupted);
  }
}

}  // namespace

Drain::Drain() {
  const sigset_t signals = drain_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread(wait_for_signal);
}

Drain::~Drain() {
  pthread_kill(thread_.native_handle(), kStopSignal);
  thread_.join();
}

bool Drain::requested() const {
  return drain_requested.load();
}

}  // namespace rotor::worker
