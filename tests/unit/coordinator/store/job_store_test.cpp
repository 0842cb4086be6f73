#include "coordinator/store/job_store.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

using testing::TemporaryDirectory;

class JobStoreTest : public ::testing::Test {
 protected:
  JobStoreTest() { reopen(); }

  void reopen() {
    store_.reset();
    Result<std::unique_ptr<JobStore>> store = JobStore::open(directory_ / "jobs.sqlite");
    ASSERT_OK(store);
    store_ = std::move(store).value();
  }

  JobRecord add(const std::string& id, v1::JobState state = v1::JOB_STATE_PENDING) {
    JobRecord record;
    record.id = id;
    record.request_id = "request-" + id;
    record.spec.set_model("model-" + id);
    record.inputs = {{"/data/a", 12, "abc", false}, {"/data/b", 3, "def", true}};
    record.layers = 4;
    record.state = state;
    record.create_us = record.update_us = 1000;
    EXPECT_OK(store_->write([&](StoreWriter& writer) { return writer.insert_job(&record); }));
    return record;
  }

  Status append(JobRecord* record) {
    return store_->write([&](StoreWriter& writer) -> Status {
      v1::JobEvent event;
      event.mutable_state()->set_state(record->state);
      ROTOR_RETURN_IF_ERROR(writer.append_event(record, event));
      return writer.update_job(*record);
    });
  }

  TemporaryDirectory directory_;
  std::unique_ptr<JobStore> store_;
};

TEST_F(JobStoreTest, KeepsAJobOverAReopen) {
  JobRecord record = add("a");
  record.state = v1::JOB_STATE_FAILED;
  record.cause.set_reason("WHY");
  record.last_fence = 7;
  record.perplexity = 12.5;
  record.published = "1:2";
  ASSERT_OK(append(&record));
  reopen();
  const Result<JobRecord> found = store_->job("a");
  ASSERT_OK(found);
  EXPECT_EQ(found->sequence, record.sequence);
  EXPECT_EQ(found->spec.model(), "model-a");
  ASSERT_EQ(found->inputs.size(), 2U);
  EXPECT_EQ(found->inputs[1].path, "/data/b");
  EXPECT_EQ(found->inputs[1].size, 3);
  EXPECT_TRUE(found->inputs[1].evaluation);
  EXPECT_EQ(found->state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(found->cause.reason(), "WHY");
  EXPECT_EQ(found->last_fence, 7);
  EXPECT_EQ(found->perplexity, 12.5);
  EXPECT_EQ(found->published, "1:2");
  EXPECT_EQ(found->revision, 1);
}

TEST_F(JobStoreTest, NamesTheJobThatIsMissing) {
  EXPECT_FAILS(store_->job("zz"), Code::kNotFound, "NO_SUCH_JOB", "jobs/zz");
}

TEST_F(JobStoreTest, AFailedTransactionLeavesNothing) {
  JobRecord record = add("a");
  const Status failed = store_->write([&](StoreWriter& writer) -> Status {
    JobRecord next = record;
    ROTOR_RETURN_IF_ERROR(writer.append_event(&next, {}));
    ROTOR_RETURN_IF_ERROR(writer.update_job(next));
    return aborted("no");
  });
  EXPECT_EQ(failed.code(), Code::kAborted);
  EXPECT_EQ(store_->job("a")->revision, 0);
  EXPECT_TRUE(store_->events(record.sequence, 0, 10)->empty());
}

TEST_F(JobStoreTest, EventsCountWithoutHoles) {
  JobRecord record = add("a");
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(append(&record));
  }
  const auto events = store_->events(record.sequence, 2, 3);
  ASSERT_OK(events);
  ASSERT_EQ(events->size(), 3U);
  EXPECT_EQ((*events)[0].revision(), 2);
  EXPECT_EQ((*events)[2].revision(), 4);
}

TEST_F(JobStoreTest, ListsNewestFirstAndByState) {
  add("a");
  add("b", v1::JOB_STATE_FAILED);
  const JobRecord last = add("c");
  const auto page = store_->list(0, 2, {});
  ASSERT_OK(page);
  ASSERT_EQ(page->jobs.size(), 2U);
  EXPECT_EQ(page->jobs[0].id, "c");
  EXPECT_TRUE(page->more);
  EXPECT_EQ(store_->list(last.sequence, 5, {})->jobs.size(), 2U);
  const auto failed = store_->list(0, 5, {v1::JOB_STATE_FAILED});
  ASSERT_EQ(failed->jobs.size(), 1U);
  EXPECT_EQ(failed->jobs[0].id, "b");
  EXPECT_FALSE(failed->more);
  add("d", v1::JOB_STATE_SUCCEEDED);
  add("e", v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(store_->jobs_with_layers()->size(), 3U);
}

TEST_F(JobStoreTest, DeletingAJobTakesAllOfItAlong) {
  JobRecord record = add("a");
  ASSERT_OK(append(&record));
  ASSERT_OK(store_->write([&](StoreWriter& writer) -> Status {
    ROTOR_RETURN_IF_ERROR(writer.put_layer(record.sequence, {2, 1, "file", {}, {}}));
    return writer.put_lease(record.sequence, {1, 0, 4, "host", 2, 5, {}, ""});
  }));
  EXPECT_EQ(store_->layers(record.sequence)->size(), 1U);
  ASSERT_OK(store_->write([&](StoreWriter& w) { return w.delete_job(record.sequence); }));
  EXPECT_TRUE(store_->layers(record.sequence)->empty());
  EXPECT_TRUE(store_->leases(record.sequence)->empty());
  EXPECT_TRUE(store_->events(record.sequence, 0, 10)->empty());
  EXPECT_FALSE(store_->job_of_request("request-a")->has_value());
}

TEST_F(JobStoreTest, ARestartEndsRunningLeasesAtTheJobsLastChange) {
  JobRecord record = add("a");
  record.update_us = 5000;
  ASSERT_OK(store_->write([&](StoreWriter& writer) -> Status {
    ROTOR_RETURN_IF_ERROR(writer.put_lease(record.sequence, {1, 0, 4, "host", 2, 3000, {}, ""}));
    return writer.update_job(record);
  }));
  reopen();
  const auto leases = store_->leases(record.sequence);
  ASSERT_EQ(leases->size(), 1U);
  EXPECT_EQ((*leases)[0].end_us, 5000);
  EXPECT_EQ((*leases)[0].reason, "RESTART");
}

TEST_F(JobStoreTest, BringsAStoreOfTheFirstVersionUpToThisOne) {
  const JobRecord record = add("a");
  store_.reset();
  {
    Database database;
    ASSERT_OK(database.open(directory_ / "jobs.sqlite"));
    ASSERT_OK(database.execute(
        "ALTER TABLE jobs DROP COLUMN steady_us; ALTER TABLE jobs DROP COLUMN owner;"
        "DROP TABLE cleanups; DROP TABLE openings;"
        "PRAGMA user_version=1"));
  }
  reopen();
  EXPECT_EQ(store_->job("a")->update_us, record.update_us);
  EXPECT_EQ(store_->job("a")->steady_us, 0);
  EXPECT_EQ(*store_->count_opening(), 0);
  EXPECT_TRUE(store_->cleanups()->empty());
}

TEST_F(JobStoreTest, KeepsWhatIsToBeRemovedUntilItIs) {
  ASSERT_OK(store_->write([](StoreWriter& writer) {
    return writer.put_cleanup({"a", "/o", "1:2"});
  }));
  reopen();
  const auto cleanups = store_->cleanups();
  ASSERT_EQ(cleanups->size(), 1U);
  EXPECT_EQ(cleanups->front().partial, "/o");
  EXPECT_EQ(cleanups->front().identity, "1:2");
  ASSERT_OK(store_->write([](StoreWriter& writer) { return writer.delete_cleanup("a"); }));
  EXPECT_TRUE(store_->cleanups()->empty());
}

TEST_F(JobStoreTest, RefusesANewerStore) {
  store_.reset();
  {
    Database database;
    ASSERT_OK(database.open(directory_ / "jobs.sqlite"));
    ASSERT_OK(database.execute("PRAGMA user_version=99"));
  }
  EXPECT_FAILS(JobStore::open(directory_ / "jobs.sqlite"), Code::kFailedPrecondition, "STORE_NEWER",
               "99");
}

// faults.09
TEST_F(JobStoreTest, Faults09_RefusesADamagedStore) {
  for (int i = 0; i < 200; ++i) {
    add("job" + std::to_string(i));
  }
  store_.reset();
  const std::string path = directory_ / "jobs.sqlite";
  std::string bytes = testing::file_bytes(path);
  ASSERT_GT(bytes.size(), 3 * 4096U);
  std::fill(bytes.begin() + 4096, bytes.end() - 4096, '\x5a');
  directory_.put("jobs.sqlite", bytes);
  EXPECT_FAILS(JobStore::open(path), Code::kDataLoss, "STORE_CORRUPT", path);
}

// faults.09
TEST_F(JobStoreTest, Faults09_ATornLastWriteLeavesTheValidPrefix) {
  JobRecord record = add("a");
  ASSERT_OK(append(&record));
  // What a crash in the middle of the next transaction would leave: half a page behind the log.
  const std::string log = directory_ / "jobs.sqlite-wal";
  const std::string bytes = testing::file_bytes(log);
  const std::string store = testing::file_bytes(directory_ / "jobs.sqlite");
  store_.reset();
  directory_.put("jobs.sqlite", store);
  directory_.put("jobs.sqlite-wal", bytes + std::string(1000, '\x11'));
  reopen();
  EXPECT_EQ(store_->job("a")->revision, 1);
}

}  // namespace
}  // namespace rotor::coordinator
