// Random histories of jobs, seeded: whatever happens, committed layers stay until a user ends the
// job, nothing is removed that a job did not make, and every job can be brought to its end.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::CoreTest;
using testing::CoreWorker;

class CoreRandom : public CoreTest {
 protected:
  CoreRandom() {
    for (const char* output : {"a", "b"}) {
      jobs_.push_back({submit(std::string("r-") + output, output), 0});
    }
    fs::create_directory(theirs());
    std::ofstream(theirs() + "/notes") << "x";
  }

  struct Watched {
    std::string name;
    int32_t committed = 0;
  };

  std::string theirs() { return demo_.output("a") + ".rotor-partial"; }
  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }

  void work() {
    if (!worker_) {
      worker_ = std::make_unique<CoreWorker>(core_.get(), "g" + std::to_string(++groups_));
      lease_.reset();
    }
    core_->tick();
    while (const auto message = worker_->next()) {
      if (message->has_lease()) {
        lease_ = message->lease();
        next_ = lease_->first_layer();
      } else if (message->has_revoke()) {
        lease_.reset();
      }
    }
    worker_->beat(lease_);
    if (!lease_ || !fs::exists(demo_.model())) {
      return;
    }
    if (next_ == lease_->end_layer()) {
      worker_->finish(*lease_);
      lease_.reset();
    } else if (worker_->put_and_commit(*lease_, next_).ok()) {
      ++next_;
    } else {
      worker_->fail(*lease_, unavailable("the upload broke"));
      lease_.reset();
    }
  }

  void fail_lease() {
    if (worker_ && lease_) {
      const Status causes[] = {unavailable("connection refused"),
                               failed_precondition("touched").with_reason("SOURCE_CHANGED"),
                               errno_error(EIO, "read", demo_.model() + "/model.safetensors"),
                               resource_exhausted("no room").with_reason("DISK_FULL"),
                               invalid_argument("a NaN").with_reason("NOT_FINITE")};
      worker_->fail(*lease_, causes[below(std::size(causes))]);
      lease_.reset();
    }
  }

  void crash() {
    if (worker_) {
      worker_->forget_core();
      worker_.reset();
    }
    fs_.plan().fail_at = -1;  // a start that fails is another test's matter
    fs_.plan().disk_bytes = -1;
    restart();
  }

  void hide_or_show_model() {
    if (fs::exists(demo_.model())) {
      fs::rename(demo_.model(), demo_.root() / "away");
    } else {
      fs::rename(demo_.root() / "away", demo_.model());
    }
  }

  void step() {
    const std::string& name = jobs_[below(jobs_.size())].name;
    switch (below(16)) {
      case 0:
        worker_.reset();
        break;
      case 1:
        fail_lease();
        break;
      case 2:
        (void)core_->pause(name);
        break;
      case 3:
      case 4:
        (void)core_->resume(name);
        break;
      case 5:
        hide_or_show_model();
        break;
      case 6:
        fs_.plan().disk_bytes = fs_.plan().disk_bytes < 0 ? fs_.plan().bytes_written : -1;
        break;
      case 7:
        crash();
        break;
      case 8:
        (void)core_->assemble_next();
        break;
      case 9:
        fs_.plan().fail_at = fs_.plan().calls + static_cast<int64_t>(below(50));
        break;
      default:
        work();
    }
    clock_.advance(std::chrono::seconds(below(8)));
    core_->tick();
  }

  void check(const std::string& when) {
    for (Watched& watched : jobs_) {
      const v1::Job now = job(watched.name);
      ASSERT_GE(now.committed_layers(), watched.committed) << when;
      watched.committed = now.committed_layers();
      if (now.state() != v1::JOB_STATE_SUCCEEDED) {
        const auto files =
            std::distance(fs::directory_iterator(staging(watched.name)), fs::directory_iterator());
        ASSERT_GT(files, watched.committed) << when;  // and the owner's file
      }
    }
    ASSERT_TRUE(fs::exists(theirs() + "/notes")) << when;
  }

  void bring_to_an_end() {
    if (!fs::exists(demo_.model())) {
      hide_or_show_model();
    }
    fs::remove_all(theirs());
    crash();
    for (const Watched& watched : jobs_) {
      const v1::JobState state = job(watched.name).state();
      if (state == v1::JOB_STATE_PAUSED || state == v1::JOB_STATE_FAILED) {
        ASSERT_OK(core_->resume(watched.name));
      }
      run_to_end(watched.name);
      core_->assemble_next();
      EXPECT_EQ(job(watched.name).state(), v1::JOB_STATE_SUCCEEDED)
          << job(watched.name).cause().message();
    }
  }

  std::mt19937_64 random_;
  std::vector<Watched> jobs_;
  std::unique_ptr<CoreWorker> worker_;
  std::optional<v1::Lease> lease_;
  int32_t next_ = 0;
  int groups_ = 0;
};

TEST_F(CoreRandom, NothingCommittedIsLostAndEveryJobCanBeEnded) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    random_.seed(seed);
    for (int i = 0; i < 60; ++i) {
      step();
      check("seed " + std::to_string(seed) + ", step " + std::to_string(i) + ": ");
      if (HasFatalFailure()) {
        return;
      }
    }
  }
  bring_to_an_end();
}

}  // namespace
}  // namespace rotor::coordinator
