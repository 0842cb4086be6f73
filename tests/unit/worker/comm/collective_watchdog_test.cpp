#include "worker/comm/collective_watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>

namespace rotor::worker {
namespace {

using std::chrono::milliseconds;

/// A watchdog, and what it gave up with.
struct Watched {
  explicit Watched(milliseconds timeout) {
    CollectiveWatchdog::Options options;
    options.timeout = timeout;
    options.poll = milliseconds(1);
    options.give_up = [this](const Status& why) { given_up.set_value(why); };
    watchdog = std::make_unique<CollectiveWatchdog>(std::move(options));
  }
  std::promise<Status> given_up;
  std::future<Status> status = given_up.get_future();
  std::unique_ptr<CollectiveWatchdog> watchdog;
};

TEST(CollectiveWatchdog, GivesUpOnWhatNeverEndsAndNamesIt) {
  Watched watched(milliseconds(30));
  watched.watchdog->watch("the first", []() -> Result<bool> { return true; });
  watched.watchdog->watch("the second", []() -> Result<bool> { return false; });
  const Status status = watched.status.get();
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(status.reason(), "COLLECTIVE_TIMEOUT");
  EXPECT_EQ(status.message().rfind("the second", 0), 0U) << status.message();
}

TEST(CollectiveWatchdog, CountsFromTheEndOfTheWorkBefore) {
  Watched watched(milliseconds(400));
  std::atomic<int> done = 0;
  // Together they take longer than the timeout, each for itself does not.
  for (int i = 0; i < 4; ++i) {
    auto begun = std::make_shared<std::chrono::steady_clock::time_point>();
    watched.watchdog->watch("work", [&done, begun]() -> Result<bool> {
      const auto now = std::chrono::steady_clock::now();
      if (*begun == std::chrono::steady_clock::time_point()) {
        *begun = now;
      }
      const bool finished = now - *begun > milliseconds(150);
      done += finished ? 1 : 0;
      return finished;
    });
  }
  EXPECT_EQ(watched.status.wait_for(milliseconds(900)), std::future_status::timeout);
  EXPECT_EQ(done, 4);
}

TEST(CollectiveWatchdog, TellsTheErrorOfAProbe) {
  Watched watched(milliseconds(60000));
  watched.watchdog->watch("a broadcast", []() -> Result<bool> {
    return internal_error("remote process exited").with_reason("NCCL_ERROR");
  });
  const Status status = watched.status.get();
  EXPECT_EQ(status.reason(), "NCCL_ERROR");
  EXPECT_EQ(status.message(), "a broadcast: remote process exited");
}

TEST(CollectiveWatchdog, EndsWhileSomethingIsUnderWay) {
  const auto alive = std::make_shared<int>(0);
  {
    Watched watched(milliseconds(60000));
    watched.watchdog->watch("work", [alive]() -> Result<bool> { return false; });
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(CollectiveTimeout, ComesFromTheEnvironment) {
  constexpr const char* kVariable = "ROTOR_COLLECTIVE_TIMEOUT_SECONDS";
  unsetenv(kVariable);
  EXPECT_EQ(collective_timeout().value(), CollectiveWatchdog::kDefaultTimeout);
  setenv(kVariable, "45", 1);
  EXPECT_EQ(collective_timeout().value(), std::chrono::seconds(45));
  for (const char* wrong : {"", "0", "-1", "1.5", "10s", "99999999999"}) {
    setenv(kVariable, wrong, 1);
    const Status status = collective_timeout().status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << wrong;
    EXPECT_NE(status.message().find(kVariable), std::string::npos);
  }
  unsetenv(kVariable);
}

}  // namespace
}  // namespace rotor::worker
