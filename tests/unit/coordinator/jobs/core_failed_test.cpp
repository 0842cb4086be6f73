// A job that failed keeps what it committed until somebody gives it up.
#include <filesystem>
#include <fstream>

#include "coordinator/jobs/core.h"
#include "coordinator/store/sqlite.h"
#include "tests/support/captured_log.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using testing::CoreWorker;

class CoreFailed : public testing::CoreTest {
 protected:
  /// A job of four layers that fails after two.
  std::string failed(const std::string& id = "r1", const std::string& output = "out") {
    const std::string name = submit(id, output);
    CoreWorker worker(core_.get(), id);
    const auto lease = lease_to(worker);
    EXPECT_OK(worker.put_and_commit(*lease, 0));
    EXPECT_OK(worker.put_and_commit(*lease, 1));
    worker.fail(*lease, invalid_argument("a NaN in a weight").with_reason("NOT_FINITE"));
    EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
    core_->assemble_next();  // sweeps
    return name;
  }

  /// Somebody who may have one open job.
  static Submitter alice() {
    Submitter alice;
    alice.owner = "alice";
    alice.most_open_jobs = 1;
    return alice;
  }

  /// A job of alice's that fails in its first layer.
  std::string failed_of_alice() {
    const Result<v1::Job> submitted = core_->submit(demo_.request("r1"), alice());
    EXPECT_OK(submitted);
    CoreWorker worker(core_.get(), "a");
    worker.fail(*lease_to(worker), invalid_argument("a NaN in a weight"));
    EXPECT_EQ(job(submitted->name()).state(), v1::JOB_STATE_FAILED);
    return submitted->name();
  }

  int64_t staged_files(const std::string& name) {
    if (!std::filesystem::exists(staging(name))) {
      return 0;
    }
    return std::distance(std::filesystem::directory_iterator(staging(name)), {});
  }
};

TEST_F(CoreFailed, ItsLayersOutlastARestartAndAResumeGoesOnBehindThem) {
  const std::string name = failed();
  EXPECT_GE(staged_files(name), 2);
  restart();
  core_->assemble_next();
  EXPECT_GE(staged_files(name), 2);
  ASSERT_OK(core_->resume(name));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  {
    CoreWorker worker(core_.get(), "b");
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(lease->committed_layers_size(), 2);
    EXPECT_EQ(lease->first_layer(), 2);
    core_->draining(worker.group(), "SIGTERM");
  }
  run_to_end("c");
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(core_->report(name)->computed_layers(), 4);
  core_->assemble_next();
  EXPECT_EQ(staged_files(name), 0);
}

TEST_F(CoreFailed, AResumeBeginsTheCountOfFailuresAnew) {
  const std::string name = failed();
  ASSERT_OK(core_->resume(name));
  CoreWorker worker(core_.get(), "b");
  worker.fail(*lease_to(worker), internal_error("the device fell off").with_reason("DEVICE_LOST"));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(CoreFailed, ACancelGivesItsLayersUp) {
  const std::string name = failed();
  restart();
  const auto cancelled = core_->cancel(name);
  ASSERT_OK(cancelled);
  EXPECT_EQ(cancelled->state(), v1::JOB_STATE_CANCELLED);
  core_->assemble_next();
  EXPECT_EQ(staged_files(name), 0);
  EXPECT_FAILS(core_->resume(name), Code::kFailedPrecondition, "BAD_STATE", "CANCELLED");
}

TEST_F(CoreFailed, ADeletionGivesItsLayersUpOverACrashToo) {
  const std::string name = failed();
  ASSERT_OK(core_->remove(name));
  restart();  // before anything was swept
  core_->assemble_next();
  EXPECT_EQ(staged_files(name), 0);
}

TEST_F(CoreFailed, ItsUnfinishedOutputGoesOverACrashToo) {
  const std::string name = failed();
  const std::string partial = demo_.output() + ".rotor-partial";
  for (const std::string& owner : {name.substr(5), std::string("0123456789abcdef")}) {
    std::filesystem::create_directory(partial);
    std::ofstream(partial + "/.rotor-job") << owner << "\n";
    std::ofstream(partial + "/model.safetensors") << "half";
    restart();
    core_->assemble_next();
    EXPECT_EQ(std::filesystem::exists(partial), owner != name.substr(5));
    EXPECT_GE(staged_files(name), 2);
  }
}

TEST_F(CoreFailed, AResumeIsRefusedWhereAnotherJobHasItsOutput) {
  const std::string name = failed();
  const std::string other = submit("r2");
  EXPECT_FAILS(core_->resume(name), Code::kAlreadyExists, "OUTPUT_IN_USE", other);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  ASSERT_OK(core_->cancel(other));
  ASSERT_OK(core_->resume(name));
}

TEST_F(CoreFailed, AResumeIsRefusedWhereAnotherJobHasPutItsCheckpoint) {
  const std::string name = failed();
  const std::string other = submit("r2");
  run_to_end("other");
  ASSERT_EQ(job(other).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FAILS(core_->resume(name), Code::kAlreadyExists, "OUTPUT_EXISTS", demo_.output());
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  std::filesystem::rename(demo_.output(), demo_.output("moved"));
  ASSERT_OK(core_->resume(name));
}

TEST_F(CoreFailed, AResumeKeepsToItsOwnersQuota) {
  const std::string name = failed_of_alice();
  const auto second = core_->submit(demo_.request("r2", "second"), alice());
  ASSERT_OK(second);
  EXPECT_FAILS(core_->resume(name, alice()), Code::kResourceExhausted, "TOO_MANY_JOBS", "alice");
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  ASSERT_OK(core_->cancel(second->name()));
  ASSERT_OK(core_->resume(name, alice()));
  // It is one of the open jobs again.
  EXPECT_FAILS(core_->submit(demo_.request("r3", "third"), alice()), Code::kResourceExhausted,
               "TOO_MANY_JOBS", "alice");
}

TEST_F(CoreFailed, AnAdminResumesBeyondTheOwnersQuota) {
  const std::string name = failed_of_alice();
  ASSERT_OK(core_->submit(demo_.request("r2", "second"), alice()));
  Submitter admin;
  admin.owner = "admin";
  ASSERT_OK(core_->resume(name, admin));
}

TEST_F(CoreFailed, AResumeWithASourceThatChangedLeavesItFailed) {
  const std::string name = failed();
  const std::string path = demo_.model() + "/config.json";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + 1);
  EXPECT_FALSE(core_->resume(name).ok());
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  ASSERT_OK(core_->resume(name));
}

TEST_F(CoreFailed, TheLimitOfFallbacksIsNotGotRoundByAResume) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->mutable_limits()->set_max_fallback_share(0.0);
  const std::string name = core_->submit(request)->name();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  v1::LayerReport* const report = worker.layer(*lease, 0).commit.mutable_report();
  report->mutable_modules(0)->add_fallbacks()->set_kind("DAMPING_RAISED");
  (void)worker.put_and_commit(*lease, 0);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  EXPECT_FAILS(core_->resume(name), Code::kFailedPrecondition, "TOO_MANY_FALLBACKS", "higher");
}

TEST_F(CoreFailed, KeepingHouseForgetsOldJobsButNotThoseThatKeepLayers) {
  const std::string done = submit("r0", "done");
  run_to_end();
  const std::string name = failed();
  const std::string cancelled = submit("r2", "out2");
  ASSERT_OK(core_->cancel(cancelled));
  CoordinatorOptions options = demo_.options();
  options.retain_seconds = 60;
  core_.reset();
  core_ = *Core::open(fs_, clock_, options);
  core_->keep_house();
  ASSERT_OK(core_->get(done));
  clock_.advance(std::chrono::seconds(61));
  core_->keep_house();
  EXPECT_FAILS(core_->get(done), Code::kNotFound, "NO_SUCH_JOB", done);
  EXPECT_FAILS(core_->get(cancelled), Code::kNotFound, "NO_SUCH_JOB", cancelled);
  ASSERT_OK(core_->get(name));
  ASSERT_OK(core_->resume(name));

  Database database;
  ASSERT_OK(database.open(demo_.state() + "/jobs.sqlite"));
  ASSERT_OK(database.execute("ALTER TABLE jobs RENAME TO elsewhere"));
  const testing::CapturedLog log;
  core_->keep_house();
  EXPECT_NE(log.text().find("are not forgotten"), std::string::npos) << log.text();
}

}  // namespace
}  // namespace rotor::coordinator
