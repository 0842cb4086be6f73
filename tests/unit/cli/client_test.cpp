#include "ops/cli/client.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/unit/cli/fake_jobs.h"

namespace rotor::cli {
namespace {

// Nothing listens on port 1 of loopback.
constexpr char kNobody[] = "127.0.0.1:1";

TEST(JobName, TakesBothForms) {
  EXPECT_EQ(job_name("7"), "jobs/7");
  EXPECT_EQ(job_name("jobs/7"), "jobs/7");
}

TEST(JobsClient, SaysThatNobodyAnswersWithinTheTimeout) {
  JobsClient client(kNobody, 0.3);
  const auto start = std::chrono::steady_clock::now();
  const Result<v1::Job> job = client.get("jobs/7");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_FAILS(job, Code::kUnavailable, "UNREACHABLE", kNobody);
  EXPECT_NE(job.status().details().at("remedy").find("--coordinator"), std::string::npos);
}

TEST(JobsClient, StopsWaitingWhenTheTickSaysSo) {
  JobsClient client(kNobody, 60, [] { return false; });
  EXPECT_FAILS(client.get("jobs/7"), Code::kCancelled, "INTERRUPTED", "");
}

TEST(JobsClient, PassesErrorsOfTheCoordinatorOn) {
  FakeJobs jobs;
  jobs.set_submit_error(already_exists("taken")
                            .with_reason("REQUEST_ID_TAKEN")
                            .with_detail("differences", "format: nvfp4 -> mxfp4"));
  JobsClient client(jobs.address(), 10);
  const Result<v1::Job> job = client.submit({});
  EXPECT_FAILS(job, Code::kAlreadyExists, "REQUEST_ID_TAKEN", "taken");
  EXPECT_EQ(job.status().details().at("differences"), "format: nvfp4 -> mxfp4");
}

TEST(JobsClient, WaitsForACoordinatorThatComesLate) {
  FakeJobs jobs;
  v1::Job job;
  job.set_name("jobs/7");
  jobs.set_job(job);
  jobs.stop();
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    jobs.start();
  });
  JobsClient client(jobs.address(), 30);
  const Result<v1::Job> got = client.get("jobs/7");
  late.join();
  ASSERT_OK(got);
  EXPECT_EQ(got->name(), "jobs/7");
}

TEST(JobsClient, ListsPageAfterPageUpToTheLimit) {
  FakeJobs jobs;
  jobs.set_older(std::vector<v1::Job>(1));
  JobsClient client(jobs.address(), 10);
  const Result<std::vector<v1::Job>> list = client.list({}, 700);
  ASSERT_OK(list);
  EXPECT_EQ(list->size(), 2U);
  EXPECT_EQ(jobs.calls(), (std::vector<std::string>{"list 500 ", "list 500 0"}));
  EXPECT_EQ(client.list({}, 1)->size(), 1U);
}

TEST(JobsClient, FindsTheOneJobThatBeginsSoHoweverManyAreNewer) {
  FakeJobs jobs;
  std::vector<v1::Job> older(11'000);
  older.back().set_name("jobs/abcdef0123456789");
  jobs.set_older(older);
  JobsClient client(jobs.address(), 10);
  EXPECT_EQ(*client.find("abc"), "jobs/abcdef0123456789");
  EXPECT_FAILS(client.find("b"), Code::kNotFound, "NO_SUCH_JOB", "'b'");
  older.front().set_name("jobs/abc9");
  jobs.set_older(older);
  EXPECT_FAILS(client.find("abc"), Code::kInvalidArgument, "AMBIGUOUS_JOB", "2 jobs");
  EXPECT_EQ(*client.find("abc9"), "jobs/abc9");
}

TEST(JobsClient, TakesNoEmptyNameForTheBeginningOfAll) {
  FakeJobs jobs;
  v1::Job job;
  job.set_name("jobs/abcdef0123456789");
  jobs.set_job(job);
  JobsClient client(jobs.address(), 10);
  for (const char* empty : {"", "jobs/"}) {
    EXPECT_FAILS(client.find(empty), Code::kInvalidArgument, "USAGE", "names no job");
  }
}

TEST(JobsClient, WatchesThroughALostConnectionWithoutGapOrRepeat) {
  FakeJobs jobs;
  jobs.add_state(v1::JOB_STATE_PENDING);
  jobs.add_state(v1::JOB_STATE_RUNNING);
  std::vector<int64_t> revisions;
  JobsClient client(jobs.address(), 5);
  std::thread coordinator;
  std::vector<bool> contact;
  client.on_contact([&](bool here) { contact.push_back(here); });
  const Status status = client.watch("jobs/7", 0, 60, [&](const v1::JobEvent& event) {
    revisions.push_back(event.revision());
    if (event.revision() == 2) {
      coordinator = std::thread([&] {
        jobs.stop();
        jobs.add_commit(0, 1);
        jobs.start();
        jobs.add_state(v1::JOB_STATE_SUCCEEDED);
      });
    }
  });
  coordinator.join();
  EXPECT_OK(status);
  EXPECT_EQ(revisions, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(contact, (std::vector<bool>{false, true}));
}

TEST(JobsClient, WatchesFromTheRevisionThatIsWanted) {
  FakeJobs jobs;
  jobs.add_state(v1::JOB_STATE_PENDING);
  jobs.add_state(v1::JOB_STATE_RUNNING);
  jobs.add_state(v1::JOB_STATE_SUCCEEDED);
  JobsClient client(jobs.address(), 10);
  std::vector<int64_t> revisions;
  EXPECT_OK(client.watch(
      "jobs/7", 3, 10, [&](const v1::JobEvent& event) { revisions.push_back(event.revision()); }));
  EXPECT_EQ(revisions, (std::vector<int64_t>{3}));
}

TEST(JobsClient, AWatchEndsWhenTheTickSaysSo) {
  FakeJobs jobs;
  jobs.add_state(v1::JOB_STATE_RUNNING);
  int ticks = 0;
  JobsClient client(jobs.address(), 10, [&] { return ++ticks < 5; });
  EXPECT_FAILS(client.watch("jobs/7", 0, 10, [](const v1::JobEvent&) {}), Code::kCancelled,
               "INTERRUPTED", "");
}

TEST(JobsClient, AWatchGivesACoordinatorUpThatStaysAway) {
  JobsClient client(kNobody, 0.2);
  EXPECT_FAILS(client.watch("jobs/7", 0, 0.5, [](const v1::JobEvent&) {}), Code::kUnavailable,
               "UNREACHABLE", kNobody);
}

}  // namespace
}  // namespace rotor::cli
