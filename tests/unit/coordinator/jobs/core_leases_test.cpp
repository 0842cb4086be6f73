#include <gtest/gtest.h>

#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using std::chrono::seconds;
using testing::CoreTest;
using testing::CoreWorker;

class CoreLeases : public CoreTest {
 protected:
  std::string submit_original() {
    v1::SubmitJobRequest request = demo_.request("r1");
    request.mutable_spec()->set_propagate(v1::PROPAGATE_ORIGINAL);
    const Result<v1::Job> job = core_->submit(request);
    EXPECT_OK(job);
    return job->name();
  }
};

TEST_F(CoreLeases, GivesOneQuantizedShardWithItsInputs) {
  const std::string name = submit();
  CoreWorker first(core_.get(), "a");
  CoreWorker second(core_.get(), "b");
  const auto lease = lease_to(first);
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(lease->job(), name);
  EXPECT_EQ(lease->fence(), 1);
  EXPECT_EQ(lease->first_layer(), 0);
  EXPECT_EQ(lease->end_layer(), 4);
  EXPECT_EQ(lease->calibration_paths_size(), 1);
  EXPECT_FALSE(lease->source_digest().empty());
  EXPECT_FALSE(lease->calibration_digest().empty());
  EXPECT_FALSE(second.next_lease().has_value());
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(CoreLeases, SharesOriginalShardsOverAttachedGroups) {
  submit_original();
  CoreWorker first(core_.get(), "a");
  CoreWorker second(core_.get(), "b");
  const auto a = lease_to(first);
  const auto b = second.next_lease();
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->end_layer(), 2);
  EXPECT_EQ(b->first_layer(), 2);
  EXPECT_EQ(b->end_layer(), 4);
  EXPECT_NE(a->fence(), b->fence());
}

TEST_F(CoreLeases, ALateGroupTakesTheTailAndTheHolderIsTold) {
  const std::string name = submit_original();
  CoreWorker first(core_.get(), "a");
  const auto a = lease_to(first);
  ASSERT_EQ(a->end_layer(), 4);
  CoreWorker second(core_.get(), "b");
  const auto b = lease_to(second);
  ASSERT_TRUE(b.has_value());
  EXPECT_EQ(b->first_layer(), 2);
  EXPECT_FAILS(first.put(*a, 2), Code::kFailedPrecondition, "STALE_FENCE", "layer 2");
  ASSERT_OK(first.put_and_commit(*a, 0));
  EXPECT_FALSE(first.next().has_value());
  ASSERT_OK(first.put_and_commit(*a, 1));
  const auto revoke = first.next();
  ASSERT_TRUE(revoke && revoke->has_revoke());
  EXPECT_EQ(revoke->revoke().reason(), "RECUT");
  ASSERT_OK(second.put_and_commit(*b, 2));
  ASSERT_OK(second.put_and_commit(*b, 3));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FINALIZING);
}

TEST_F(CoreLeases, OldestJobFirst) {
  const std::string first = submit("r1", "out1");
  const std::string second = submit("r2", "out2");
  CoreWorker a(core_.get(), "a");
  core_->tick();
  EXPECT_EQ(a.next_lease()->job(), first);
  CoreWorker b(core_.get(), "b");
  core_->tick();
  EXPECT_EQ(b.next_lease()->job(), second);
}

// faults.40
TEST_F(CoreLeases, Faults40_HeartbeatsAloneDoNotHoldALease) {
  submit();
  CoreWorker idler(core_.get(), "a");
  const auto lease = lease_to(idler);
  ASSERT_TRUE(lease.has_value());
  const double most = demo_.options().progress_seconds;
  const auto beat = [&](double for_seconds) {
    for (double passed = 0; passed < for_seconds; passed += 10) {
      clock_.advance(std::chrono::seconds(10));
      idler.beat(lease);
      core_->tick();
    }
  };
  beat(most / 2);
  ASSERT_OK(idler.put(*lease, 0));  // an upload is progress
  beat(most / 2 + 20);
  EXPECT_FALSE(idler.next().has_value());
  beat(most / 2 + 20);
  const auto revoke = idler.next();
  ASSERT_TRUE(revoke && revoke->has_revoke());
  EXPECT_EQ(revoke->revoke().reason(), "NO_PROGRESS");
}

// faults.02
TEST_F(CoreLeases, Faults02_ABrokenStreamEndsTheLeaseAtOnce) {
  const std::string name = submit();
  CoreWorker first(core_.get(), "a");
  const auto lost = lease_to(first);
  ASSERT_OK(first.put(*lost, 0));
  first.leave();
  CoreWorker second(core_.get(), "b");
  const auto lease = lease_to(second);
  ASSERT_TRUE(lease.has_value());
  EXPECT_GT(lease->fence(), lost->fence());
  EXPECT_EQ(lease->first_layer(), 0);
  EXPECT_EQ(job(name).committed_layers(), 0);
}

// faults.06
TEST_F(CoreLeases, Faults06_ASilentGroupLosesItsLeaseAndIsRefusedWhenItWakes) {
  const std::string name = submit();
  CoreWorker sleeper(core_.get(), "a");
  const auto old = lease_to(sleeper);
  ASSERT_OK(sleeper.put(*old, 0));
  clock_.advance(seconds(19));
  core_->tick();
  EXPECT_FALSE(sleeper.next().has_value());
  clock_.advance(seconds(2));
  CoreWorker other(core_.get(), "b");
  const auto lease = lease_to(other);
  ASSERT_TRUE(lease.has_value());
  EXPECT_FAILS(sleeper.commit(*old, 0), Code::kFailedPrecondition, "STALE_FENCE", "stale");
  EXPECT_FAILS(sleeper.put(*old, 0), Code::kFailedPrecondition, "STALE_FENCE", "stale");
  ASSERT_OK(other.put_and_commit(*lease, 0));
  sleeper.beat(old);
  const auto told = sleeper.next();
  ASSERT_TRUE(told && told->has_revoke());
  EXPECT_EQ(told->revoke().reason(), "STALE");
  EXPECT_EQ(told->revoke().job(), name);
  EXPECT_EQ(job(name).committed_layers(), 1);
}

TEST_F(CoreLeases, HeartbeatsKeepALease) {
  submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  for (int i = 0; i < 10; ++i) {
    clock_.advance(seconds(15));
    worker.beat(lease);
    core_->tick();
  }
  EXPECT_FALSE(worker.next().has_value());
  EXPECT_OK(worker.put_and_commit(*lease, 0));
}

// faults.15
TEST_F(CoreLeases, Faults15_AfterARestartFencesGoOnRising) {
  const std::string name = submit();
  int64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    {
      CoreWorker worker(core_.get(), "a");
      const auto lease = lease_to(worker);
      ASSERT_TRUE(lease.has_value());
      EXPECT_GT(lease->fence(), last);
      EXPECT_EQ(lease->first_layer(), round);
      last = lease->fence();
      ASSERT_OK(worker.put_and_commit(*lease, round));
      ASSERT_OK(worker.put(*lease, round + 1));
    }
    restart();
    v1::PutHeader header;
    header.set_job(name);
    header.set_fence(last);
    header.set_layer(round + 1);
    EXPECT_FAILS(core_->open_upload(header), Code::kFailedPrecondition, "STALE_FENCE", "stale");
  }
  EXPECT_EQ(core_->report(name)->computed_layers(), 3);
  run_to_end();
  EXPECT_EQ(core_->report(name)->resumed_layers(), 3);
  EXPECT_EQ(core_->report(name)->computed_layers(), 4);
}

TEST_F(CoreLeases, ThreeFailuresWithoutACommitFailTheJob) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const Status crash = internal_error("the device fell off").with_reason("DEVICE_LOST");
  for (int i = 0; i < 5; ++i) {
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease.has_value()) << i;
    if (i == 1) {
      ASSERT_OK(worker.put_and_commit(*lease, 0));  // begins the count anew
    }
    worker.fail(*lease, crash);
    if (i < 3) {
      EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING) << i;
    } else {
      break;
    }
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(name).cause().reason(), "DEVICE_LOST");
}

TEST_F(CoreLeases, LeasesLostInARowPauseTheJobUntilItIsResumed) {
  const std::string name = submit();
  const auto lose = [&](int count, bool silent) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(job(name).state() == v1::JOB_STATE_PAUSED, false) << i;
      CoreWorker worker(core_.get(), "a");
      core_->tick();
      ASSERT_TRUE(worker.next_lease().has_value()) << i;
      clock_.advance(seconds(silent ? 21 : 11));
      if (silent) {
        core_->tick();
      } else {
        worker.beat();
      }
    }
  };
  const int most = demo_.options().most_lost_leases;
  ASSERT_EQ(most, 5);
  lose(most - 1, false);
  {
    CoreWorker worker(core_.get(), "a");
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease.has_value());
    ASSERT_OK(worker.put_and_commit(*lease, 0));  // begins the count anew
  }
  lose(most - 2, true);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  lose(1, true);
  const v1::Job paused = job(name);
  EXPECT_EQ(paused.state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(paused.cause().reason(), "LEASES_LOST");
  EXPECT_NE(paused.cause().message().find("host-a (1 ranks, cpu) fell silent with layers 1 to 4"),
            std::string::npos)
      << paused.cause().message();
  EXPECT_EQ(paused.cause().details().at("leases"), "5");
  CoreWorker worker(core_.get(), "b");
  core_->tick();
  EXPECT_FALSE(worker.next_lease().has_value());
  ASSERT_OK(core_->resume(name));
  core_->tick();
  EXPECT_TRUE(worker.next_lease().has_value());
  worker.leave();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  run_to_end();
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(CoreLeases, LeasesLostInABurstAreOneLoss) {
  const std::string name = submit();
  for (int i = 0; i < 4 * demo_.options().most_lost_leases; ++i) {
    CoreWorker worker(core_.get(), "a");
    ASSERT_TRUE(lease_to(worker).has_value()) << i;
    clock_.advance(std::chrono::milliseconds(300));
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(CoreLeases, AServiceThatCannotBeReachedYetIsNoFailureOfTheJob) {
  const std::string name = submit();
  for (int i = 0; i < 20; ++i) {
    CoreWorker worker(core_.get(), "a");
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease.has_value()) << i;
    worker.fail(*lease, unavailable("failed to connect to all addresses"));
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(CoreLeases, DurationsGoByTheSteadyClock) {
  const std::string name = submit();
  {
    CoreWorker worker(core_.get(), "a");
    ASSERT_TRUE(lease_to(worker).has_value());
    clock_.set_wall(-std::chrono::hours(5));
    clock_.advance(seconds(7));
  }
  EXPECT_DOUBLE_EQ(core_->report(name)->seconds(), 7.0);
  clock_.set_wall(-std::chrono::hours(5));
  restart();
  {
    CoreWorker worker(core_.get(), "a");
    ASSERT_TRUE(lease_to(worker).has_value());
    clock_.set_wall(std::chrono::hours(50));
    clock_.advance(seconds(2));
    worker.beat();
  }
  EXPECT_DOUBLE_EQ(core_->report(name)->seconds(), 9.0);
}

TEST_F(CoreLeases, AGroupThatDrainsLosesNothing) {
  const std::string name = submit();
  for (int i = 0; i < 2 * demo_.options().most_lost_leases; ++i) {
    CoreWorker worker(core_.get(), "a");
    core_->tick();
    ASSERT_TRUE(worker.next_lease().has_value()) << i;
    core_->draining(worker.group(), "SIGTERM");
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

// faults.27
TEST_F(CoreLeases, Faults27_BadDataFailsTheJobAtOnce) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  core_->tick();
  worker.fail(*worker.next_lease(),
              invalid_argument("layer 1: NaN in a weight").with_reason("NOT_FINITE"));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(name).cause().reason(), "NOT_FINITE");
}

// faults.20
TEST_F(CoreLeases, Faults20_ADrainingGroupGetsNoMoreLeases) {
  submit("r1", "out1");
  submit("r2", "out2");
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  core_->draining(worker.group(), "SIGTERM");
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  ASSERT_OK(core_->cancel(lease->job()));
  worker.beat();
  core_->tick();
  EXPECT_FALSE(worker.next_lease().has_value());
}

TEST_F(CoreLeases, RefusesAWorkerOfAnotherAlgorithmVersion) {
  v1::Register registration;
  registration.set_group_id("x");
  registration.set_ranks(1);
  registration.set_algorithm_version(99);
  EXPECT_FAILS(core_->attach(registration, std::make_shared<Outbox>()), Code::kFailedPrecondition,
               "VERSION_MISMATCH", "99");
}

TEST_F(CoreLeases, AnEvaluationIsWaitedForAndLeasedAlone) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->mutable_evaluation()->add_files("text.json");
  const Result<v1::Job> submitted = core_->submit(request);
  ASSERT_OK(submitted);
  const std::string name = submitted->name();
  {
    CoreWorker worker(core_.get(), "a");
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease && lease->evaluate());
    EXPECT_EQ(lease->evaluation_paths_size(), 1);
    for (int32_t layer = 0; layer < 4; ++layer) {
      v1::Progress progress;
      progress.set_job(name);
      progress.set_fence(lease->fence());
      progress.set_layer(layer);
      progress.set_stage(3);
      progress.set_stages(4);
      core_->progress(worker.group(), progress);
      EXPECT_EQ(core_->list_workers().groups(0).doing(),
                "layer " + std::to_string(layer) + ", stage 4 of 4");
      ASSERT_OK(worker.put_and_commit(*lease, layer));
    }
    EXPECT_EQ(core_->list_workers().groups(0).doing(), "evaluating");
  }
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  CoreWorker worker(core_.get(), "b");
  const auto lease = lease_to(worker);
  ASSERT_TRUE(lease && lease->evaluate());
  EXPECT_EQ(core_->list_workers().groups(0).doing(), "loading");
  EXPECT_EQ(lease->first_layer(), 4);
  EXPECT_EQ(lease->end_layer(), 4);
  v1::ShardFinished finished;
  finished.set_job(name);
  finished.set_fence(lease->fence());
  finished.set_perplexity(12.5);
  finished.set_perplexity_tokens(1000);
  core_->shard_finished(worker.group(), finished);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FINALIZING);
  EXPECT_EQ(core_->report(name)->perplexity(), 12.5);
}

}  // namespace
}  // namespace rotor::coordinator
