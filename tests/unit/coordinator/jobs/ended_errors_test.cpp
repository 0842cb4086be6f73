#include "coordinator/jobs/ended_errors.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

class EndedErrorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = JobStore::open(directory_ / "jobs.sqlite");
    ASSERT_OK(store);
    store_ = std::move(store).value();
  }

  JobRecord add(const std::string& id) {
    JobRecord record;
    record.id = record.request_id = id;
    record.state = v1::JOB_STATE_SUCCEEDED;
    record.revision = 5;
    EXPECT_OK(store_->write([&](StoreWriter& writer) { return writer.insert_job(&record); }));
    return record;
  }

  void put(const JobRecord& record, int32_t layer, std::initializer_list<double> errors) {
    LayerRecord row;
    row.layer = layer;
    for (const double error : errors) {
      row.report.add_modules()->set_relative_error(error);
    }
    ASSERT_OK(
        store_->write([&](StoreWriter& writer) { return writer.put_layer(record.sequence, row); }));
  }

  using Errors = std::map<int32_t, double>;
  testing::TemporaryDirectory directory_;
  std::unique_ptr<JobStore> store_;
  EndedErrors errors_;
};

TEST_F(EndedErrorsTest, AreMeansAndReadOnce) {
  const JobRecord record = add("a");
  put(record, 0, {0.25, 0.75});
  put(record, 1, {});
  EXPECT_EQ(*errors_.of(*store_, record), (Errors{{0, 0.5}, {1, 0}}));
  put(record, 2, {0.5});  // which no job that has ended gets, so it would tell of a second read
  EXPECT_EQ(errors_.of(*store_, record)->size(), 2U);
}

TEST_F(EndedErrorsTest, AreReadAgainOfAJobThatWasResumed) {
  JobRecord record = add("a");
  put(record, 0, {0.25});
  ASSERT_OK(errors_.of(*store_, record));
  put(record, 1, {0.5});
  record.revision = 9;
  EXPECT_EQ(*errors_.of(*store_, record), (Errors{{0, 0.25}, {1, 0.5}}));
}

TEST_F(EndedErrorsTest, AreKeptOfTheNewestJobs) {
  const JobRecord first = add("first");
  ASSERT_OK(errors_.of(*store_, first));
  JobRecord last;
  for (size_t i = 0; i < EndedErrors::kMostJobs; ++i) {
    last = add("job-" + std::to_string(i));
    ASSERT_OK(errors_.of(*store_, last));
  }
  put(first, 0, {0.5});
  put(last, 0, {0.5});
  EXPECT_EQ(errors_.of(*store_, first)->size(), 1U);
  EXPECT_EQ(errors_.of(*store_, last)->size(), 0U);
}

}  // namespace
}  // namespace rotor::coordinator
