#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using testing::CoreTest;
using testing::CoreWorker;

class CoreState : public CoreTest {
 protected:
  Status open_again() {
    core_.reset();
    return Core::open(fs_, clock_, demo_.options()).status();
  }
  std::string store() { return demo_.state() + "/jobs.sqlite"; }
  std::string partial() { return demo_.output() + ".rotor-partial"; }
};

// faults.36
TEST_F(CoreState, Faults36_ALostOrEmptiedStoreIsRefusedAndStagingIsKept) {
  const std::string name = submit();
  commit("a", 0, 1);
  core_.reset();
  fs::rename(store(), demo_.root() / "saved");
  EXPECT_FAILS(open_again(), Code::kFailedPrecondition, "STATE_LOST", "is missing");
  std::ofstream(store()).close();
  EXPECT_FAILS(open_again(), Code::kFailedPrecondition, "STATE_LOST", "is empty");
  EXPECT_TRUE(fs::exists(staging(name) + "/layer-00000.fence-1.safetensors"));
  fs::rename(demo_.root() / "saved", store());
  restart();
  EXPECT_EQ(job(name).committed_layers(), 1);
}

// faults.36
TEST_F(CoreState, Faults36_AnOldCopyOfTheStoreIsRefused) {
  const std::string name = submit();
  core_.reset();
  fs::copy_file(store(), demo_.root() / "old");
  restart();
  commit("a", 0, 1);
  core_.reset();
  fs::copy_file(demo_.root() / "old", store(), fs::copy_options::overwrite_existing);
  for (int i = 0; i < 3; ++i) {  // refusing changes nothing
    EXPECT_FAILS(open_again(), Code::kFailedPrecondition, "STATE_OLDER", "openings");
  }
  // Without the count, as an older program left it, the staged layers tell.
  fs::remove(demo_.state() + "/openings");
  EXPECT_FAILS(open_again(), Code::kFailedPrecondition, "STATE_OLDER", "newer than the store");
  EXPECT_TRUE(fs::exists(staging(name) + "/layer-00000.fence-1.safetensors"));
}

// faults.36
TEST_F(CoreState, Faults36_StagingThatIsMissingIsRefusedByName) {
  const std::string name = submit();
  commit("a", 0, 1);
  core_.reset();
  fs::rename(demo_.state() + "/staging", demo_.root() / "away");
  EXPECT_FAILS(open_again(), Code::kFailedPrecondition, "STATE_INCOMPLETE", "mounted");
  fs::remove_all(demo_.state() + "/staging");
  fs::rename(demo_.root() / "away", demo_.state() + "/staging");
  restart();
  EXPECT_EQ(job(name).committed_layers(), 1);
}

// faults.36
TEST_F(CoreState, Faults36_StagingOfUnknownJobsIsKept) {
  fs::create_directories(demo_.state() + "/staging/0123456789abcdef");
  std::ofstream(demo_.state() + "/staging/0123456789abcdef/layer-00000.fence-1.safetensors") << "x";
  restart();
  EXPECT_TRUE(fs::exists(demo_.state() + "/staging/0123456789abcdef"));
}

// faults.35
TEST_F(CoreState, Faults35_ACancelledJobRemovesNothingThatItDidNotMake) {
  const std::string name = submit();
  fs::create_directory(partial());
  std::ofstream(partial() + "/theirs") << "x";
  ASSERT_OK(core_->cancel(name));
  core_->assemble_next();
  EXPECT_TRUE(fs::exists(partial() + "/theirs"));
  EXPECT_FALSE(fs::exists(staging(name)));
}

// faults.35
TEST_F(CoreState, Faults35_AJobWaitsUntilWhatLiesWhereItWritesIsMovedAway) {
  const std::string name = submit();
  commit("a", 0, 4);
  fs::create_directory(partial());
  std::ofstream(partial() + "/theirs") << "x";
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "NOT_THIS_JOBS");
  EXPECT_EQ(job(name).committed_layers(), 4);
  fs::rename(partial(), demo_.root() / "moved");
  ASSERT_OK(core_->resume(name));
  core_->assemble_next();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

// faults.18
TEST_F(CoreState, Faults18_WhatACancelLeavesIsRemovedAfterARestart) {
  const std::string name = submit();
  commit("a", 0, 4);
  ASSERT_EQ(job(name).state(), v1::JOB_STATE_FINALIZING);
  fs::create_directory(partial());
  std::ofstream(partial() + "/.rotor-job") << name.substr(5) << "\n";
  std::ofstream(partial() + "/model.safetensors") << "half";
  ASSERT_OK(core_->cancel(name));
  restart();  // killed before it had removed anything
  core_->assemble_next();
  EXPECT_FALSE(fs::exists(partial()));
  EXPECT_FALSE(fs::exists(staging(name)));
  submit("r2");
}

// faults.37: a limit on the size of files fails the store's writes as a full disk does.
TEST_F(CoreState, Faults37_WhatCannotBeStoredHoldsTheJobAndGoesOnByItself) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  const int64_t revision = job(name).revision();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit full = limit;
  full.rlim_cur = 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  EXPECT_FALSE(worker.put(*lease, 1).ok());
  for (int i = 0; i < 5; ++i) {
    clock_.advance(seconds(3));
    worker.beat();
    core_->tick();
    EXPECT_FALSE(worker.next_lease().has_value());
  }
  EXPECT_EQ(job(name).revision(), revision);  // nothing could be written, and nothing ended
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  clock_.advance(seconds(3));
  core_->tick();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).cause().reason(), "DISK_FULL");
  clock_.advance(seconds(70));
  worker.beat();
  core_->tick();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(name).committed_layers(), 1);
  EXPECT_TRUE(fs::exists(demo_.state() + "/reserve"));
  worker.leave();
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

}  // namespace
}  // namespace rotor::coordinator
