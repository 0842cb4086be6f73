// Every history that a job can have, at random and seeded: what no change may ever do, and what
// must be possible after any of them.
#include "coordinator/jobs/transitions.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "coordinator/jobs/output_path.h"
#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

constexpr int32_t kLayers = 3;

JobRecord new_job(bool evaluated) {
  JobRecord record;
  record.id = "0123456789abcdef";
  record.output_path = "/out/m";
  record.layers = kLayers;
  if (evaluated) {
    record.spec.mutable_evaluation()->add_files("text");
  }
  return record;
}

/// A user's order that gives up what the job has committed.
bool gives_up(const JobChange& change) {
  const auto* const stopped = std::get_if<Stopped>(&change);
  return std::holds_alternative<Deleted>(change) ||
         (stopped != nullptr && stopped->state == v1::JOB_STATE_CANCELLED);
}

/// All that is left to do, in order; the record at the end.
Result<JobRecord> brought_to_its_end(JobRecord record) {
  const auto make = [&record](const JobChange& change) -> Status {
    ROTOR_ASSIGN_OR_RETURN(Outcome outcome, apply_change(record, change));
    record = std::move(outcome.record);
    return {};
  };
  if (record.state == v1::JOB_STATE_PAUSED || record.state == v1::JOB_STATE_FAILED) {
    ROTOR_RETURN_IF_ERROR(make(Resumed{}));
  }
  if (record.state != v1::JOB_STATE_FINALIZING) {
    ROTOR_RETURN_IF_ERROR(make(LeaseGiven{true}));
    while (record.committed_layers < record.layers) {
      ROTOR_RETURN_IF_ERROR(make(LayerMade{}));
    }
    if (!is_complete(record)) {
      ROTOR_RETURN_IF_ERROR(make(Evaluated{12.5, 100}));
    }
    ROTOR_RETURN_IF_ERROR(make(Completed{}));
  }
  ROTOR_RETURN_IF_ERROR(make(Publishing{"1:2"}));
  ROTOR_RETURN_IF_ERROR(make(Assembled{7, 8}));
  ROTOR_RETURN_IF_ERROR(make(Stopped{v1::JOB_STATE_SUCCEEDED, {}}));
  return record;
}

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), record_(new_job(seed % 2 == 0)) {}

  /// One change, whether it fits or not. False: the job is deleted.
  bool step() {
    const JobChange change = any_change();
    const Result<Outcome> outcome = apply_change(record_, change);
    if (!outcome.ok()) {
      EXPECT_EQ(outcome.status().reason(), "BAD_TRANSITION");
      return true;
    }
    check(change, *outcome);
    if (std::holds_alternative<LayerMade>(change)) {
      fallbacks_.push_back(std::get<LayerMade>(change).fallbacks);
    } else if (std::holds_alternative<LayerDamaged>(change)) {
      fallbacks_.pop_back();
    }
    record_ = outcome->record;
    check_state();
    return !std::holds_alternative<Deleted>(change);
  }

 private:
  int64_t below(int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random_); }

  JobChange any_change() {
    constexpr v1::JobState kStops[] = {v1::JOB_STATE_PAUSED, v1::JOB_STATE_PAUSED,
                                       v1::JOB_STATE_FAILED, v1::JOB_STATE_SUCCEEDED};
    switch (below(16)) {
      case 0:
      case 1:
        return LeaseGiven{below(2) == 0};
      case 2:
      case 3:
      case 4:
        return LayerMade{below(3)};
      case 5:
        return LayerDamaged{fallbacks_.empty() ? 0 : fallbacks_.back(), data_loss("a bit flipped")};
      case 6:
        return Evaluated{12.5, 100};
      case 7:
        return WorkFailed{};
      case 8:
        return Completed{};
      case 9:
        return Publishing{"1:2"};
      case 10:
        return Assembled{7, 8};
      case 11:
      case 12:
        return Stopped{kStops[below(std::size(kStops))], internal_error("why")};
      case 13:
      case 14:
        return Resumed{};
      default:
        // Rarely, or no history would be long.
        return below(8) != 0   ? JobChange(Resumed{})
               : below(2) == 0 ? JobChange(Stopped{v1::JOB_STATE_CANCELLED, {}})
                               : JobChange(Deleted{});
    }
  }

  void check(const JobChange& change, const Outcome& outcome) const {
    const JobRecord& next = outcome.record;
    // What is committed stays; a layer whose bytes are damaged is no more.
    const int32_t lost = std::holds_alternative<LayerDamaged>(change) ? 1 : 0;
    EXPECT_GE(next.committed_layers, record_.committed_layers - lost);
    if (outcome.cleanup) {
      // Only what is the job's is removed, and its layers by an order or once it has succeeded.
      EXPECT_EQ(outcome.cleanup->job_id, record_.id);
      EXPECT_TRUE(outcome.cleanup->partial.empty() ||
                  outcome.cleanup->partial == partial_output(record_.output_path));
      EXPECT_TRUE(outcome.cleanup->keep_staging || gives_up(change) ||
                  next.state == v1::JOB_STATE_SUCCEEDED);
      EXPECT_TRUE(next.ended());
    }
    // A job that ends for good leaves nothing that nobody removes.
    if (next.done_with_layers() && !record_.done_with_layers()) {
      EXPECT_TRUE(outcome.cleanup && !outcome.cleanup->keep_staging);
    }
    EXPECT_FALSE(record_.done_with_layers() && !std::holds_alternative<Deleted>(change));
    // No fence is given twice, and nobody misses a change of state.
    EXPECT_EQ(next.last_fence, record_.last_fence + (std::holds_alternative<LeaseGiven>(change)));
    EXPECT_TRUE(next.state == record_.state || outcome.told);
    EXPECT_TRUE(!outcome.told || outcome.told->state() == next.state);
    EXPECT_TRUE(next.state != v1::JOB_STATE_SUCCEEDED || is_complete(next));
  }

  void check_state() const {
    EXPECT_EQ(record_.committed_layers, static_cast<int32_t>(fallbacks_.size()));
    EXPECT_LE(record_.committed_layers, record_.layers);
    EXPECT_EQ(record_.fallbacks, std::accumulate(fallbacks_.begin(), fallbacks_.end(), int64_t{0}));
    if (record_.done_with_layers()) {
      return;
    }
    ASSERT_OK(apply_change(record_, Stopped{v1::JOB_STATE_CANCELLED, {}}));
    const Result<JobRecord> end = brought_to_its_end(record_);
    ASSERT_OK(end);
    EXPECT_EQ(end->state, v1::JOB_STATE_SUCCEEDED);
    EXPECT_EQ(end->committed_layers, kLayers);
    EXPECT_GE(end->computed_layers, record_.computed_layers);
  }

  std::mt19937_64 random_;
  JobRecord record_;
  std::vector<int64_t> fallbacks_;  // of each committed layer
};

TEST(Transitions, LoseNothingAndLeaveEveryJobAWayOnAndAWayOut) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    History history(seed);
    for (int i = 0; i < 150 && history.step(); ++i) {
      if (::testing::Test::HasFailure()) {
        FAIL() << "seed " << seed << ", step " << i;
      }
    }
  }
}

TEST(Transitions, APauseMayFollowAPauseAndTellsItsCause) {
  JobRecord record = new_job(false);
  for (const char* why : {"DISK_FULL", "SOURCE_CHANGED"}) {
    const auto paused = apply_change(
        record, Stopped{v1::JOB_STATE_PAUSED, resource_exhausted("x").with_reason(why)});
    ASSERT_OK(paused);
    EXPECT_EQ(paused->record.cause.reason(), why);
    ASSERT_TRUE(paused->told);
    EXPECT_EQ(paused->told->cause().reason(), why);
    EXPECT_FALSE(paused->cleanup);
    record = paused->record;
  }
  EXPECT_EQ(apply_change(record, Resumed{})->record.state, v1::JOB_STATE_PENDING);
}

TEST(Transitions, WhatDoesNotFitIsRefused) {
  JobRecord record = new_job(false);
  EXPECT_FAILS(apply_change(record, Completed{}), Code::kInternal, "BAD_TRANSITION", "PENDING");
  record.state = v1::JOB_STATE_RUNNING;
  EXPECT_FAILS(apply_change(record, Completed{}), Code::kInternal, "BAD_TRANSITION", "0 of 3");
  EXPECT_FAILS(apply_change(record, LayerDamaged{}), Code::kInternal, "BAD_TRANSITION", "no layer");
  EXPECT_FAILS(apply_change(record, Stopped{v1::JOB_STATE_SUCCEEDED, {}}), Code::kInternal,
               "BAD_TRANSITION", "RUNNING");
  record.state = v1::JOB_STATE_CANCELLED;
  EXPECT_FAILS(apply_change(record, Resumed{}), Code::kInternal, "BAD_TRANSITION", "CANCELLED");
}

}  // namespace
}  // namespace rotor::coordinator
