#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using testing::CoreTest;
using testing::CoreWorker;

/// Appends in place: GCC 12 sees an overflow in "r" + std::to_string(i) where there is none.
std::string numbered(std::string prefix, int number) {
  return prefix.append(std::to_string(number));
}

class CoreJobs : public CoreTest {
 protected:
  std::vector<v1::JobState> states(const std::string& name) {
    std::vector<v1::JobState> seen;
    for (const v1::JobEvent& event : events(name)) {
      if (event.has_state()) {
        seen.push_back(event.state().state());
      }
    }
    return seen;
  }
};

TEST_F(CoreJobs, GoesThroughItsStatesInOrder) {
  const std::string name = submit();
  run_to_end();
  EXPECT_EQ(states(name),
            (std::vector<v1::JobState>{v1::JOB_STATE_PENDING, v1::JOB_STATE_RUNNING,
                                       v1::JOB_STATE_FINALIZING, v1::JOB_STATE_SUCCEEDED}));
  const auto report = core_->report(name);
  ASSERT_OK(report);
  EXPECT_EQ(report->layers_size(), 4);
  EXPECT_EQ(report->computed_layers(), 4);
  EXPECT_EQ(report->resumed_layers(), 0);
  EXPECT_GT(report->output_bytes(), 0);
}

// faults.18
TEST_F(CoreJobs, Faults18_CancellingTwiceIsOneEnd) {
  const std::string name = submit();
  for (int i = 0; i < 2; ++i) {
    const auto cancelled = core_->cancel(name);
    ASSERT_OK(cancelled);
    EXPECT_EQ(cancelled->state(), v1::JOB_STATE_CANCELLED);
  }
  EXPECT_EQ(states(name),
            (std::vector<v1::JobState>{v1::JOB_STATE_PENDING, v1::JOB_STATE_CANCELLED}));
}

// faults.18
TEST_F(CoreJobs, Faults18_CancellingWhatSucceededIsRefused) {
  const std::string name = submit();
  run_to_end();
  EXPECT_FAILS(core_->cancel(name), Code::kFailedPrecondition, "JOB_ENDED", "SUCCEEDED");
  EXPECT_TRUE(std::filesystem::exists(demo_.output()));
}

// faults.18
TEST_F(CoreJobs, Faults18_ACancelThatRacesWithTheEndHasOneOutcome) {
  for (int round = 0; round < 5; ++round) {
    const std::string output = numbered("out", round);
    const std::string name = submit(numbered("r", round), output);
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200 + 40 * round));
      (void)core_->cancel(name);
    });
    CoreWorker worker(core_.get(), numbered("g", round));
    core_->tick();
    if (const auto lease = worker.next_lease()) {
      for (int32_t layer = 0; layer < 4; ++layer) {
        (void)worker.put_and_commit(*lease, layer);
      }
    }
    core_->assemble_next();
    canceller.join();
    core_->assemble_next();  // sweeps what a cancelled job left
    const v1::JobState state = job(name).state();
    EXPECT_TRUE(state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_CANCELLED);
    EXPECT_EQ(std::filesystem::exists(demo_.output(output)), state == v1::JOB_STATE_SUCCEEDED);
    EXPECT_FALSE(std::filesystem::exists(demo_.output(output) + ".rotor-partial"));
    EXPECT_EQ(states(name).back(), state);
  }
}

TEST_F(CoreJobs, PausesAndResumes) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "g");
  const auto lease = lease_to(worker);
  ASSERT_TRUE(lease.has_value());
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  const auto paused = core_->pause(name);
  ASSERT_OK(paused);
  EXPECT_EQ(paused->state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(paused->cause().reason(), "PAUSED_BY_USER");
  ASSERT_OK(core_->pause(name));
  const auto finish = worker.next();
  ASSERT_TRUE(finish && finish->has_finish_layer());
  EXPECT_EQ(finish->finish_layer().fence(), lease->fence());
  // The layer under way is not lost, and handing back the rest is no failure.
  ASSERT_OK(worker.put_and_commit(*lease, 1));
  worker.finish(*lease);
  EXPECT_FAILS(worker.put(*lease, 2), Code::kFailedPrecondition, "STALE_FENCE", "stale");
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(job(name).committed_layers(), 2);
  core_->tick();
  EXPECT_FALSE(worker.next_lease().has_value());
  ASSERT_OK(core_->resume(name));
  const auto next = lease_to(worker);
  ASSERT_TRUE(next.has_value());
  EXPECT_GT(next->fence(), lease->fence());
  EXPECT_EQ(next->first_layer(), 2);
  EXPECT_FAILS(core_->resume(name), Code::kFailedPrecondition, "BAD_STATE", "RUNNING");
}

TEST_F(CoreJobs, DeletesOnlyWhatHasEnded) {
  const std::string name = submit();
  EXPECT_FAILS(core_->remove(name), Code::kFailedPrecondition, "BAD_STATE", "cancel it first");
  ASSERT_OK(core_->cancel(name));
  ASSERT_OK(core_->remove(name));
  EXPECT_FAILS(core_->get(name), Code::kNotFound, "NO_SUCH_JOB", name);
  submit("r1");
}

// faults.30
TEST_F(CoreJobs, Faults30_RefusesBadNamesAndPages) {
  for (const char* name : {"", "x", "jobs/", "/jobs/x"}) {
    EXPECT_FAILS(core_->get(name), Code::kInvalidArgument, "BAD_NAME", "names are like");
  }
  EXPECT_FAILS(core_->get("jobs/missing"), Code::kNotFound, "NO_SUCH_JOB", "jobs/missing");
  v1::ListJobsRequest request;
  request.set_page_size(-1);
  EXPECT_FAILS(core_->list(request), Code::kInvalidArgument, "BAD_PAGE_SIZE", "-1");
  request.set_page_size(0);
  request.add_states(static_cast<v1::JobState>(77));
  EXPECT_FAILS(core_->list(request), Code::kInvalidArgument, "BAD_STATE_FILTER", "77");
  EXPECT_FAILS(core_->watch("jobs/missing", -1, {}), Code::kInvalidArgument, "BAD_REVISION", "-1");
}

TEST_F(CoreJobs, ListsInPages) {
  for (int i = 0; i < 5; ++i) {
    submit(numbered("r", i), numbered("out", i));
  }
  v1::ListJobsRequest request;
  request.set_page_size(2);
  std::vector<std::string> ids;
  do {
    const auto page = core_->list(request);
    ASSERT_OK(page);
    EXPECT_LE(page->jobs_size(), 2);
    for (const v1::Job& job : page->jobs()) {
      ids.push_back(job.request_id());
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(ids, (std::vector<std::string>{"r4", "r3", "r2", "r1", "r0"}));
}

// faults.16
TEST_F(CoreJobs, Faults16_AWatchGoesOnAtAnyRevisionOverARestart) {
  const std::string name = submit();
  {
    CoreWorker worker(core_.get(), "g");
    const auto lease = lease_to(worker);
    ASSERT_OK(worker.put_and_commit(*lease, 0));
  }
  const std::vector<v1::JobEvent> before = events(name);
  restart();
  run_to_end();
  const std::vector<v1::JobEvent> all = events(name);
  ASSERT_GT(all.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(all[i].SerializeAsString(), before[i].SerializeAsString());
  }
  const auto tail =
      core_->watch(name, static_cast<int64_t>(before.size()) + 1, std::chrono::milliseconds(0));
  ASSERT_OK(tail);
  EXPECT_EQ(tail->events.size(), all.size() - before.size());
  EXPECT_TRUE(tail->ended);
}

}  // namespace
}  // namespace rotor::coordinator
