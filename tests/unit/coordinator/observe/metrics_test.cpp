#include "coordinator/observe/metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "coordinator/observe/core_look.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

std::string text(const std::vector<prometheus::MetricFamily>& families) {
  return prometheus::TextSerializer().Serialize(families);
}

TEST(Metrics, CountWhatWasCommitted) {
  Metrics metrics;
  v1::LayerReport report;
  report.set_seconds(2);
  v1::ModuleReport* module = report.add_modules();
  module->set_relative_error(2e-3);
  module->add_fallbacks()->set_kind("DAMPING_RAISED");
  module->add_fallbacks()->set_kind("made\nup{}");
  metrics.layer_committed(report, 1000);
  metrics.layer_committed(report, 1000);
  metrics.uploaded(5);
  metrics.called("GetJob", "OK", 0.004);
  const std::string all = text(metrics.collect());
  for (const char* line :
       {"rotor_layers_committed_total 2", "rotor_calibration_tokens_total 2000",
        "rotor_layer_seconds_sum 4", "rotor_module_relative_error_bucket{le=\"0.003\"} 2",
        "rotor_module_relative_error_bucket{le=\"0.001\"} 0",
        "rotor_fallbacks_total{kind=\"DAMPING_RAISED\"} 2",
        "rotor_fallbacks_total{kind=\"OTHER\"} 2", "rotor_uploaded_bytes_total 5",
        "rotor_calls_total{code=\"OK\",method=\"GetJob\"} 1",
        "rotor_call_seconds_bucket{method=\"GetJob\",le=\"0.005\"} 1"}) {
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n" << all;
  }
}

TEST(Metrics, RefuseAnAddressThatCannotBeHad) {
  Metrics metrics;
  EXPECT_FAILS(metrics.listen("203.0.113.1:1", nullptr), Code::kFailedPrecondition, "LISTEN_FAILED",
               "--metrics-listen");
}

class LookTest : public testing::CoreTest {};

TEST_F(LookTest, ShowsJobsLeasesAndDisks) {
  Metrics metrics;
  core_->observe(&metrics);
  submit("r1", "out1");
  submit("r2", "out2");
  testing::CoreWorker worker(core_.get(), "g");
  const auto lease = lease_to(worker);
  ASSERT_OK(worker.put_and_commit(*lease, 0));
  clock_.advance(std::chrono::seconds(7));
  const std::string all = text(CoreLook(fs_, *core_, demo_.options()).Collect());
  for (const char* line :
       {"rotor_jobs{state=\"RUNNING\"} 1", "rotor_jobs{state=\"PENDING\"} 1",
        "rotor_jobs{state=\"FAILED\"} 0", "rotor_worker_groups 1",
        "rotor_lease_age_seconds{group=\"1\"", "rotor_disk_free_bytes{disk=\"state\"} ",
        "rotor_disk_free_bytes{disk=\"output\"} "}) {
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n" << all;
  }
  EXPECT_NE(text(metrics.collect()).find("rotor_layers_committed_total 1"), std::string::npos);
}

TEST_F(LookTest, SaysNothingOfARankThatHasNotBeenHeardOf) {
  testing::CoreWorker worker(core_.get(), "g");
  v1::Heartbeat heartbeat;
  v1::RankState* rank = heartbeat.add_ranks();
  const auto look = [&] {
    core_->heartbeat(worker.group(), heartbeat);
    return text(CoreLook(fs_, *core_, demo_.options()).Collect());
  };
  EXPECT_EQ(look().find("rank=\"0\""), std::string::npos);
  rank->set_memory_bytes(77);
  EXPECT_NE(look().find("rank=\"0\""), std::string::npos);
}

}  // namespace
}  // namespace rotor::coordinator
