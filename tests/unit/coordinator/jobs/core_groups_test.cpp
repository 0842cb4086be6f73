// What the coordinator knows of its worker groups, and what they tell on the way.
#include <algorithm>
#include <filesystem>

#include "coordinator/jobs/core.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using std::chrono::seconds;
using testing::CoreWorker;

class CoreGroups : public testing::CoreTest {
 protected:
  v1::Forward forward(const v1::Lease& lease, int32_t layer, int32_t until) {
    v1::Forward message;
    message.set_job(lease.job());
    message.set_fence(lease.fence());
    message.set_layer(layer);
    message.set_until_layer(until);
    return message;
  }
  int64_t forward_events(const std::string& name) {
    const auto all = events(name);
    return std::count_if(all.begin(), all.end(),
                         [](const v1::JobEvent& event) { return event.has_forward(); });
  }
};

TEST_F(CoreGroups, AreListedWithTheirLeasesAndRanks) {
  EXPECT_EQ(core_->list_workers().groups_size(), 0);
  const std::string name = submit();
  CoreWorker worker(core_.get(), "g");
  CoreWorker idle(core_.get(), "h");
  const auto lease = lease_to(worker);
  ASSERT_TRUE(lease.has_value());
  clock_.advance(seconds(5));
  v1::Heartbeat heartbeat;
  heartbeat.set_job(name);
  heartbeat.set_fence(lease->fence());
  v1::RankState* rank = heartbeat.add_ranks();
  rank->set_host("node-1");
  rank->set_memory_bytes(77);
  core_->heartbeat(worker.group(), heartbeat);
  clock_.advance(seconds(2));
  const v1::ListWorkersResponse workers = core_->list_workers();
  ASSERT_EQ(workers.groups_size(), 2);
  const v1::WorkerGroup& busy = workers.groups(0);
  EXPECT_EQ(busy.job(), name);
  EXPECT_EQ(busy.fence(), lease->fence());
  EXPECT_EQ(busy.end_layer(), lease->end_layer());
  EXPECT_DOUBLE_EQ(busy.lease_seconds(), 7);
  EXPECT_DOUBLE_EQ(busy.heard_seconds(), 2);
  ASSERT_EQ(busy.rank_states_size(), 1);
  EXPECT_EQ(busy.rank_states(0).memory_bytes(), 77);
  EXPECT_TRUE(workers.groups(1).job().empty());
}

TEST_F(CoreGroups, RanksThatCannotBeAreNotBelieved) {
  CoreWorker worker(core_.get(), "g");
  v1::Heartbeat many;
  for (int i = 0; i < 1000; ++i) {
    many.add_ranks();
  }
  core_->heartbeat(worker.group(), many);
  EXPECT_EQ(core_->list_workers().groups(0).rank_states_size(), 0);
  v1::Heartbeat odd;
  odd.add_ranks()->set_host("a\x1b[2J");
  core_->heartbeat(worker.group(), odd);
  EXPECT_EQ(core_->list_workers().groups(0).rank_states_size(), 0);
}

TEST_F(CoreGroups, TellOfARunForwardAndOfNothingTwice) {
  const std::string name = submit();
  commit("a", 0, 3);
  CoreWorker worker(core_.get(), "b");
  const auto lease = lease_to(worker);
  ASSERT_TRUE(lease.has_value());
  core_->forward(worker.group(), forward(*lease, 0, 3));
  core_->forward(worker.group(), forward(*lease, 0, 3));   // nothing new
  core_->forward(worker.group(), forward(*lease, 2, 2));   // no way to go
  core_->forward(worker.group(), forward(*lease, 2, 99));  // beyond its lease
  core_->forward(worker.group(), forward(*lease, 2, 3));
  core_->forward(worker.group(), forward(*lease, 1, 3));  // backwards
  EXPECT_EQ(forward_events(name), 2);
  EXPECT_EQ(core_->list_workers().groups(0).doing(), "running forward to layer 3, at layer 2");
}

TEST_F(CoreGroups, ALeaseThatAPausedJobWasFinishingIsNoLoss) {
  const std::string name = submit();
  for (int i = 0; i < 2 * demo_.options().most_lost_leases; ++i) {
    CoreWorker worker(core_.get(), "g");
    ASSERT_TRUE(lease_to(worker).has_value());
    ASSERT_OK(core_->pause(name));
    clock_.advance(seconds(11));
    worker.leave();
    ASSERT_OK(core_->resume(name));
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(CoreGroups, EstimatesTimeByTheLastLayer) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.set_validate_only(true);
  EXPECT_FALSE(core_->submit(request)->estimate().has_seconds());
  const std::string name = submit();
  CoreWorker worker(core_.get(), "g");
  const auto lease = lease_to(worker);
  worker.layer(*lease, 0).commit.mutable_report()->set_seconds(5);
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  EXPECT_DOUBLE_EQ(job(name).seconds_left(), 15);
  request.mutable_spec()->set_output("other");
  const auto plan = core_->submit(request);
  ASSERT_OK(plan);
  EXPECT_DOUBLE_EQ(plan->estimate().seconds(), 20);
  EXPECT_GT(plan->estimate().staging_free_bytes(), 0);
  EXPECT_GT(plan->estimate().output_free_bytes(), 0);
}

TEST_F(CoreGroups, MakesMissingDirectoriesAboveAnOutputAndSaysSo) {
  v1::SubmitJobRequest request = demo_.request("r1", "new/deep/out");
  request.set_validate_only(true);
  const auto plan = core_->submit(request);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->problems_size(), 0);
  EXPECT_FALSE(std::filesystem::exists(demo_.output("new")));
  const std::string name = submit("r1", "new/deep/out");
  EXPECT_TRUE(std::filesystem::exists(demo_.output("new/deep")));
  ASSERT_EQ(job(name).estimate().warnings_size(), plan->estimate().warnings_size());
  EXPECT_NE(job(name).estimate().warnings().rbegin()->find("/new/deep does not exist"),
            std::string::npos);
  EXPECT_FALSE(core_->submit(demo_.request("r2", "other/../../out")).ok());
  EXPECT_FALSE(std::filesystem::exists(demo_.output("other")));
  run_to_end();
  EXPECT_TRUE(std::filesystem::exists(demo_.output("new/deep/out")));
}

}  // namespace
}  // namespace rotor::coordinator
