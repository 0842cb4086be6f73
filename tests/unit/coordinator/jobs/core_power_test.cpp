// The power fails at any change of the disk, and what was not synced is gone (faults.08). The
// store's own files are SQLite's to sync (synchronous=FULL); they are kept as they are when the
// power goes.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/support/coordinator/core_worker.h"
#include "tests/support/coordinator/demo_job.h"
#include "tests/support/coordinator/fake_clock.h"
#include "tests/support/directory_digests.h"
#include "tests/support/power_file_system.h"
#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::CoreWorker;
using testing::digests;

// Each moment takes seconds under the sanitizers: they see some, the Release build tries all.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStep = 5;
#else
constexpr size_t kStep = 1;
#endif

/// What a client and a worker were told while there was power.
struct Acknowledged {
  std::string job;
  int32_t layers = 0;
  bool succeeded = false;
};

class CorePower : public ::testing::Test {
 protected:
  /// A new start.
  void open() {
    core_.reset();
    Result<std::unique_ptr<Core>> core = Core::open(disk_, clock_, demo_.options());
    ASSERT_OK(core);
    core_ = std::move(core).value();
  }

  /// From a submit to the checkpoint, as far as there is power.
  Acknowledged run() {
    Acknowledged told;
    const Result<v1::Job> submitted = core_->submit(demo_.request("r1"));
    if (!submitted.ok() || disk_.cut()) {
      return told;
    }
    told.job = submitted->name();
    {
      CoreWorker worker(core_.get(), "g");
      core_->tick();
      while (const std::optional<v1::Lease> lease = worker.next_lease()) {
        for (int32_t layer = lease->first_layer(); layer < lease->end_layer(); ++layer) {
          if (!worker.put_and_commit(*lease, layer).ok() || disk_.cut()) {
            return told;
          }
          ++told.layers;
        }
        worker.finish(*lease);
        core_->tick();
      }
    }
    core_->assemble_next();
    told.succeeded = core_->get(told.job)->state() == v1::JOB_STATE_SUCCEEDED && !disk_.cut();
    return told;
  }

  /// The store's files as they are now.
  void save_store() {
    fs::remove_all(saved_);
    fs::create_directory(saved_);
    for (const auto& entry : fs::directory_iterator(demo_.state())) {
      if (entry.path().filename().string().starts_with("jobs.sqlite")) {
        fs::copy_file(entry.path(), saved_ / entry.path().filename());
      }
    }
  }

  /// The host is up again: nothing in memory, and what was synced on the disk.
  void power_up() {
    core_.reset();
    disk_.restore();
    for (const auto& entry : fs::directory_iterator(demo_.state())) {
      if (entry.path().filename().string().starts_with("jobs.sqlite")) {
        fs::remove(entry.path());
      }
    }
    for (const auto& entry : fs::directory_iterator(saved_)) {
      fs::copy_file(entry.path(), fs::path(demo_.state()) / entry.path().filename());
    }
  }

  void wipe() {
    core_.reset();
    for (const std::string& directory : {demo_.state(), demo_.output()}) {
      fs::remove_all(directory);
    }
    fs::create_directory(demo_.state());
  }

  testing::DemoJob demo_;
  testing::FakeClock clock_;
  testing::PowerFileSystem disk_;
  std::unique_ptr<Core> core_;
  const fs::path saved_ = demo_.root() / "saved";
};

TEST_F(CorePower, Faults08_WhatWasAcknowledgedOutlastsThePower) {
  open();
  disk_.cut_at(-1);
  ASSERT_TRUE(run().succeeded);
  const std::vector<std::string> changes = disk_.changes();
  const auto reference = digests(demo_.output());
  int last_layers = 0;
  for (size_t at = 0; at < changes.size(); ++at) {
    if (at % kStep != 0 || (changes[at] == "write" && at % 16 != 0)) {
      continue;
    }
    SCOPED_TRACE("the power goes before change " + std::to_string(at) + " of " +
                 std::to_string(changes.size()) + ", a " + changes[at]);
    wipe();
    open();
    disk_.cut_at(static_cast<int64_t>(at), [this] { save_store(); });
    const Acknowledged told = run();
    ASSERT_TRUE(disk_.cut());
    power_up();
    open();
    if (!told.job.empty()) {
      ASSERT_GE(core_->get(told.job)->committed_layers(), told.layers);
    }
    ASSERT_FALSE(told.succeeded);
    clock_.advance(std::chrono::seconds(60));
    const Acknowledged after = run();
    ASSERT_TRUE(after.succeeded) << core_->get(after.job)->cause().message();
    ASSERT_LE(after.layers, 4 - told.layers);
    save_store();
    power_up();  // the power goes once more, at the end
    ASSERT_TRUE(fs::exists(demo_.output()));
    ASSERT_EQ(digests(demo_.output()), reference);
    last_layers = std::max(last_layers, told.layers);
  }
  EXPECT_EQ(last_layers, 4);
}

}  // namespace
}  // namespace rotor::coordinator
