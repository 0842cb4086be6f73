#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

using testing::CoreTest;
using testing::CoreWorker;

class CoreCommits : public CoreTest {
 protected:
  /// The committed file of a layer.
  std::string staged(const std::string& name, int32_t layer) {
    for (const auto& entry : std::filesystem::directory_iterator(staging(name))) {
      const std::string file = entry.path().filename().string();
      if (file.rfind("layer-0000" + std::to_string(layer) + ".", 0) == 0) {
        return entry.path().string();
      }
    }
    return "";
  }
  static void flip_last_byte(const std::string& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const int byte = file.get();
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(byte ^ 1));
  }
};

TEST_F(CoreCommits, AnIncompleteLayerIsRefusedAndCanBeCompleted) {
  submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  EXPECT_FAILS(worker.commit(*lease, 0), Code::kFailedPrecondition, "INCOMPLETE_LAYER", "layer 0");
  EXPECT_OK(worker.put_and_commit(*lease, 0));
}

// faults.01
TEST_F(CoreCommits, Faults01_WhatIsCommittedSurvivesARestartAndNothingElse) {
  const std::string name = submit();
  {
    CoreWorker worker(core_.get(), "a");
    const auto lease = lease_to(worker);
    ASSERT_OK(worker.put_and_commit(*lease, 0));
    ASSERT_OK(worker.put(*lease, 1));
    restart();
    worker.forget_core();
  }
  EXPECT_FALSE(staged(name, 0).empty());
  EXPECT_TRUE(staged(name, 1).empty());
  EXPECT_EQ(job(name).committed_layers(), 1);
  CoreWorker worker(core_.get(), "b");
  const auto lease = lease_to(worker);
  EXPECT_EQ(lease->first_layer(), 1);
  ASSERT_EQ(lease->committed_layers_size(), 1);
  EXPECT_EQ(lease->committed_layers(0), 0);
}

TEST_F(CoreCommits, ACommittedLayerTwiceIsAcceptedIfItIsTheSame) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  EXPECT_OK(worker.put_and_commit(*lease, 0));
  EXPECT_EQ(job(name).committed_layers(), 1);
}

TEST_F(CoreCommits, ACommittedLayerWithOtherBytesFailsTheJobLoudly) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  testing::RtnLayer other = testing::RtnQuantizer(*lease).layer(0);
  other.tensors[0].bytes[0] ^= 1;
  const auto messages = testing::put_messages(*lease, 0, other.tensors);
  ASSERT_OK(testing::upload(core_.get(), messages));
  for (const v1::PutTensorsRequest& message : messages) {
    if (message.has_end()) {
      other.commit.mutable_tensors(0)->set_sha256(message.end().sha256());
      break;
    }
  }
  other.commit.set_job(lease->job());
  other.commit.set_fence(lease->fence());
  core_->commit(worker.group(), other.commit);
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(name).cause().reason(), "NOT_DETERMINISTIC");
}

TEST_F(CoreCommits, TooManyFallbacksFailTheJob) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->mutable_limits()->set_max_fallback_share(0.0);
  const std::string name = core_->submit(request)->name();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  v1::LayerReport* const report = worker.layer(*lease, 0).commit.mutable_report();
  report->mutable_modules(0)->add_fallbacks()->set_kind("DAMPING_RAISED");
  (void)worker.put_and_commit(*lease, 0);
  EXPECT_EQ(job(name).cause().reason(), "TOO_MANY_FALLBACKS");
}

// faults.10
TEST_F(CoreCommits, Faults10_AFlippedBitIsFoundBeforePublishingAndTheLayerMadeAgain) {
  const std::string name = submit();
  {
    CoreWorker worker(core_.get(), "a");
    const auto lease = lease_to(worker);
    for (int32_t layer = 0; layer < 4; ++layer) {
      ASSERT_OK(worker.put_and_commit(*lease, layer));
    }
    worker.finish(*lease);
  }
  flip_last_byte(staged(name, 2));
  core_->assemble_next();
  EXPECT_FALSE(std::filesystem::exists(demo_.output()));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(name).committed_layers(), 3);
  run_to_end("b");
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(core_->report(name)->computed_layers(), 5);
}

TEST_F(CoreCommits, WhatALostLayerToldCountsNoMore) {
  v1::SubmitJobRequest request = demo_.request("r1");
  request.mutable_spec()->mutable_limits()->set_max_fallback_share(0.04);  // one of 28
  const auto submitted = core_->submit(request);
  ASSERT_OK(submitted);
  const std::string& name = submitted->name();
  CoreWorker worker(core_.get(), "a");
  const auto first = lease_to(worker);
  for (int32_t layer = 0; layer < 3; ++layer) {
    worker.layer(*first, layer).commit.mutable_report()->set_seconds(layer == 2 ? 50 : 5);
  }
  v1::LayerReport* const told = worker.layer(*first, 2).commit.mutable_report();
  told->mutable_modules(0)->add_fallbacks()->set_kind("DAMPING_RAISED");
  for (int32_t layer = 0; layer < 3; ++layer) {
    ASSERT_OK(worker.put_and_commit(*first, layer));
  }
  EXPECT_DOUBLE_EQ(job(name).seconds_left(), 20);
  core_->layer_lost(name, 2, data_loss("a bit flipped"));
  worker.beat();
  const auto second = lease_to(worker);
  ASSERT_TRUE(second.has_value());
  EXPECT_DOUBLE_EQ(job(name).seconds_left(), 10);
  EXPECT_DOUBLE_EQ(job(name).tokens_per_second(),
                   static_cast<double>(submitted->estimate().calibration_tokens()) / 5);
  EXPECT_EQ(core_->layer_errors(name)->count(2), 0U);
  ASSERT_OK(worker.put_and_commit(*second, 2));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING) << job(name).cause().message();
}

// faults.10
TEST_F(CoreCommits, Faults10_AStagedFileThatIsGoneIsMadeAgain) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  for (int32_t layer = 0; layer < 4; ++layer) {
    ASSERT_OK(worker.put_and_commit(*lease, layer));
  }
  worker.finish(*lease);
  std::filesystem::remove(staged(name, 0));
  core_->assemble_next();
  const auto again = lease_to(worker);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->first_layer(), 0);
  EXPECT_EQ(again->end_layer(), 1);
}

// faults.11
TEST_F(CoreCommits, Faults11_AFullDiskPausesUntilThereIsRoom) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  fs_.plan().disk_bytes = fs_.plan().bytes_written;
  EXPECT_FALSE(worker.put(*lease, 0).ok());
  const v1::Job paused = job(name);
  EXPECT_EQ(paused.state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(paused.cause().reason(), "DISK_FULL");
  EXPECT_GT(std::stoll(paused.cause().details().at("bytes_needed")), 0);
  const size_t told = events(name).size();
  for (int i = 0; i < 5; ++i) {  // the numbers show room, as under a quota; a try does not
    clock_.advance(std::chrono::seconds(3));
    core_->tick();
  }
  EXPECT_EQ(events(name).size(), told);
  fs_.plan().disk_bytes = -1;
  clock_.advance(std::chrono::seconds(3));
  worker.beat();
  const auto next = lease_to(worker);
  ASSERT_TRUE(next.has_value());
  EXPECT_OK(worker.put_and_commit(*next, 0));
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
}

// faults.14
TEST_F(CoreCommits, Faults14_OutOfFileDescriptorsFailsThatCallAlone) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  fs_.plan().fail_at = fs_.plan().calls;
  fs_.plan().error_number = EMFILE;
  EXPECT_FAILS(worker.put(*lease, 0), Code::kResourceExhausted, "OUT_OF_RESOURCES",
               "Too many open files");
  EXPECT_EQ(job(name).state(), v1::JOB_STATE_RUNNING);
  EXPECT_OK(worker.put_and_commit(*lease, 0));
}

// faults.12
TEST_F(CoreCommits, Faults12_AFailedSyncIsNoCommitAndTheLayerIsMadeAgain) {
  const std::string name = submit();
  CoreWorker worker(core_.get(), "a");
  const auto lease = lease_to(worker);
  ASSERT_OK(worker.put(*lease, 0));
  fs_.plan().fail_at = fs_.plan().calls;
  EXPECT_FALSE(worker.commit(*lease, 0).ok());
  EXPECT_EQ(job(name).committed_layers(), 0);
  worker.beat();
  const auto again = lease_to(worker);
  ASSERT_TRUE(again.has_value());
  EXPECT_OK(worker.put_and_commit(*again, 0));
}

}  // namespace
}  // namespace rotor::coordinator
