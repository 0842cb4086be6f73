// A core on the demo model with a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/jobs/core.h"
#include "tests/support/coordinator/core_worker.h"
#include "tests/support/coordinator/demo_job.h"
#include "tests/support/coordinator/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/status_matchers.h"

namespace rotor::testing {

class CoreTest : public ::testing::Test {
 protected:
  CoreTest() { restart(); }

  /// What a crash and a new start leave: everything in memory is gone.
  void restart() {
    core_.reset();
    Result<std::unique_ptr<coordinator::Core>> core =
        coordinator::Core::open(fs_, clock_, demo_.options());
    ASSERT_OK(core);
    core_ = std::move(core).value();
  }

  std::string submit(const std::string& id = "r1", const std::string& output = "out") {
    const Result<v1::Job> job = core_->submit(demo_.request(id, output));
    EXPECT_OK(job);
    return job.ok() ? job->name() : "";
  }

  v1::Job job(const std::string& name) {
    const Result<v1::Job> found = core_->get(name);
    EXPECT_OK(found);
    return found.ok() ? *found : v1::Job();
  }

  /// What is leased to the group now, if anything.
  std::optional<v1::Lease> lease_to(CoreWorker& worker) {
    core_->tick();
    return worker.next_lease();
  }

  /// A worker that commits layers [from, to) of the lease it gets, and goes.
  void commit(const std::string& group, int32_t from, int32_t to) {
    CoreWorker worker(core_.get(), group);
    const auto lease = lease_to(worker);
    ASSERT_TRUE(lease.has_value());
    for (int32_t layer = from; layer < to; ++layer) {
      ASSERT_OK(worker.put_and_commit(*lease, layer));
    }
    core_->draining(worker.group(), "SIGTERM");
  }

  /// Where the coordinator keeps the layers of the job.
  std::string staging(const std::string& name) {
    return demo_.state() + "/staging/" + name.substr(std::string("jobs/").size());
  }

  /// All events of the job, checked for order and holes.
  std::vector<v1::JobEvent> events(const std::string& name) {
    std::vector<v1::JobEvent> all;
    while (true) {
      const auto batch =
          core_->watch(name, static_cast<int64_t>(all.size()) + 1, std::chrono::milliseconds(0));
      EXPECT_OK(batch);
      for (const v1::JobEvent& event : batch->events) {
        all.push_back(event);
        EXPECT_EQ(event.revision(), static_cast<int64_t>(all.size()));
      }
      if (batch->events.empty() || batch->ended) {
        return all;
      }
    }
  }

  /// Attaches a worker, lets it do all of the job, and puts the checkpoint together.
  void run_to_end(const std::string& group = "g") {
    CoreWorker worker(core_.get(), group);
    core_->tick();
    while (const std::optional<v1::Lease> lease = worker.next_lease()) {
      for (int32_t layer = lease->first_layer(); layer < lease->end_layer(); ++layer) {
        ASSERT_OK(worker.put_and_commit(*lease, layer));
      }
      worker.finish(*lease);
      core_->tick();
    }
    core_->assemble_next();
  }

  DemoJob demo_;
  FakeClock clock_;
  FaultyFileSystem fs_;
  std::unique_ptr<coordinator::Core> core_;
};

}  // namespace rotor::testing
