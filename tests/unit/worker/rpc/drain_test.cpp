#include "worker/rpc/drain.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace rotor::worker {
namespace {

bool comes_true(const Drain& drain) {
  for (int i = 0; i < 500 && !drain.requested(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return drain.requested();
}

/// A thread that takes every signal, older than any Drain, as libraries start them before main.
class ElderThread {
 public:
  ~ElderThread() {
    stop_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_{[this] {
    while (!stop_.load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }};
};

// faults.20
TEST(Drain, Faults20_ASignalToTheProcessIsTakenWhateverThreadsThereAre) {
  const ElderThread elder;
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    Drain drain;
    EXPECT_FALSE(drain.requested());
    // The kernel prefers this thread, and goes to the elder one where this one takes none.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    kill(getpid(), number);
    EXPECT_TRUE(comes_true(drain)) << number;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
}

// faults.20
TEST(Drain, Faults20_ASignalIsTakenInAProcessThatWasStartedWithItBlocked) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  {
    Drain drain;
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(comes_true(drain));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Drain, IsRequestedByTheProgramToo) {
  Drain drain;
  drain.request();
  EXPECT_TRUE(drain.requested());
}

TEST(Drain, LeavesTheHandlersOfBeforeBehind) {
  struct sigaction before {};
  sigaction(SIGUSR1, nullptr, &before);
  { const Drain drain; }
  struct sigaction after {};
  sigaction(SIGUSR1, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

}  // namespace
}  // namespace rotor::worker
