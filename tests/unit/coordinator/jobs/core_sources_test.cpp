#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "quant/io/file.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::CoreTest;
using testing::CoreWorker;

class CoreSources : public CoreTest {
 protected:
  /// A job with one committed layer; its worker is gone.
  std::string begin() {
    std::string name = submit();
    commit("first", 0, 1);
    return name;
  }

  void expect_paused(const std::string& name, const std::string& reason, const std::string& words) {
    const v1::Job paused = job(name);
    EXPECT_EQ(paused.state(), v1::JOB_STATE_PAUSED);
    EXPECT_EQ(paused.cause().reason(), reason);
    EXPECT_NE(paused.cause().message().find(words), std::string::npos) << paused.cause().message();
    EXPECT_EQ(paused.committed_layers(), 1);
    EXPECT_TRUE(fs::exists(staging(name) + "/layer-00000.fence-1.safetensors"));
  }

  /// Rewrites a byte of the model's weights and keeps size and modification time.
  void swap_shard(char byte) {
    const std::string shard = demo_.model() + "/model.safetensors";
    const auto time = fs::last_write_time(shard);
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    last_ = static_cast<char>(file.get());
    file.seekp(-1, std::ios::end);
    file.put(byte);
    file.close();
    fs::last_write_time(shard, time);
  }

  void tick_later(int after) {
    clock_.advance(seconds(after));
    core_->tick();
  }

  std::string away_ = demo_.root() / "away";
  char last_ = 0;
};

// faults.33
TEST_F(CoreSources, Faults33_AModelOutOfSightAtARestartCostsNothingAndIsWaitedFor) {
  const std::string name = begin();
  fs::rename(demo_.model(), away_);
  restart();
  core_->tick();
  expect_paused(name, "SOURCE_UNREADABLE", "goes on by itself");
  const size_t told = events(name).size();
  for (int i = 0; i < 20; ++i) {
    tick_later(3);
  }
  EXPECT_EQ(events(name).size(), told);  // it is told once, not at every look
  fs::rename(away_, demo_.model());
  tick_later(3);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(core_->report(name)->computed_layers(), 4);
}

// faults.33
TEST_F(CoreSources, Faults33_EachFileOfTheSourceIsWaitedFor) {
  const std::string name = begin();
  for (const std::string& path :
       {demo_.model() + "/config.json", demo_.model() + "/model.safetensors",
        demo_.model() + "/tokenizer.json", demo_.text()}) {
    fs::rename(path, away_);
    restart();
    core_->tick();
    expect_paused(name, "SOURCE_UNREADABLE", path);
    EXPECT_FAILS(core_->resume(name), Code::kUnavailable, "SOURCE_UNREADABLE", path);
    expect_paused(name, "SOURCE_UNREADABLE", path);
    fs::rename(away_, path);
    ASSERT_OK(core_->resume(name));
  }
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.33
TEST_F(CoreSources, Faults33_AnUnreadableDiskIsWaitedFor) {
  const std::string name = begin();
  restart();
  fs_.plan().fail_at = fs_.plan().calls;
  core_->tick();
  expect_paused(name, "SOURCE_UNREADABLE", "rror");
  tick_later(3);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

// faults.33
TEST_F(CoreSources, Faults33_ASourceThatComesAndGoesIsLookedAtEverLessOften) {
  const std::string name = begin();
  int pauses = 0;
  for (int second = 0; second < 120; ++second) {
    fs::rename(demo_.model(), away_);
    CoreWorker worker(core_.get(), "g");  // a lease is given after a look at the source
    const bool ran = job(name).state() == v1::JOB_STATE_RUNNING;
    core_->tick();
    pauses += ran && job(name).state() == v1::JOB_STATE_PAUSED ? 1 : 0;
    fs::rename(away_, demo_.model());
    tick_later(1);
    core_->draining(worker.group(), "SIGTERM");
  }
  EXPECT_GE(pauses, 3);
  EXPECT_LE(pauses, 7);
}

// faults.33
TEST_F(CoreSources, Faults33_ATouchedFileIsNoChange) {
  const std::string name = begin();
  for (const std::string& path : {demo_.model() + "/model.safetensors", demo_.text()}) {
    fs::last_write_time(path, fs::last_write_time(path) + seconds(7));
  }
  restart();
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.34
TEST_F(CoreSources, Faults34_AShardSwappedWithItsTimeKeptPausesUntilItIsBack) {
  const std::string name = begin();
  swap_shard('\x55');
  restart();
  core_->tick();
  expect_paused(name, "SOURCE_CHANGED", "model.safetensors changed its content");
  tick_later(100);
  EXPECT_FAILS(core_->resume(name), Code::kFailedPrecondition, "SOURCE_CHANGED", "sampled blocks");
  expect_paused(name, "SOURCE_CHANGED", "model.safetensors changed its content");
  swap_shard(last_);
  ASSERT_OK(core_->resume(name));
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.34
TEST_F(CoreSources, Faults34_AWorkerThatFailsOverASwappedShardPausesTheJob) {
  const std::string name = begin();
  CoreWorker worker(core_.get(), "g");
  const auto lease = lease_to(worker);
  swap_shard('\x55');
  worker.fail(*lease, invalid_argument("layer 1: NaN in a weight").with_reason("NOT_FINITE"));
  expect_paused(name, "SOURCE_CHANGED", "model.safetensors changed its content");
}

// faults.33
TEST_F(CoreSources, Faults33_AWorkerThatSawATouchGoesOnAndAWorkerOnAnotherModelPauses) {
  const std::string name = begin();
  CoreWorker worker(core_.get(), "g");
  const Status changed =
      failed_precondition("model.safetensors: was rewritten").with_reason("SOURCE_CHANGED");
  worker.fail(*lease_to(worker), changed);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  worker.fail(*lease_to(worker), changed);
  expect_paused(name, "SOURCE_CHANGED", "host-g (1 ranks, cpu): model.safetensors: was rewritten");
}

// faults.33
TEST_F(CoreSources, Faults33_AWorkerThatCannotReadTheModelIsTriedAgain) {
  const std::string name = begin();
  CoreWorker worker(core_.get(), "g");
  const Status gone = errno_error(ENOENT, "open", demo_.model() + "/model.safetensors");
  worker.fail(*lease_to(worker), gone);
  expect_paused(name, "SOURCE_UNREADABLE", "host-g (1 ranks, cpu)");
  EXPECT_FALSE(lease_to(worker).has_value());
  clock_.advance(seconds(3));
  worker.beat();
  EXPECT_TRUE(lease_to(worker).has_value());
}

// faults.22
TEST_F(CoreSources, Faults22_ARestartFindsAChangedModel) {
  const std::string name = begin();
  std::ofstream(demo_.model() + "/config.json", std::ios::app) << " ";
  restart();
  core_->tick();
  expect_paused(name, "SOURCE_CHANGED", "config.json changed its size");
}

// faults.22
TEST_F(CoreSources, Faults22_ALeaseIsNotGivenOnChangedCalibration) {
  const std::string name = submit();
  std::ofstream(demo_.text(), std::ios::app) << " ";
  CoreWorker worker(core_.get(), "g");
  core_->tick();
  EXPECT_FALSE(worker.next_lease().has_value());
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "SOURCE_CHANGED");
}

}  // namespace
}  // namespace rotor::coordinator
