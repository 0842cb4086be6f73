#include "coordinator/jobs/report.h"

#include <gtest/gtest.h>

namespace rotor::coordinator {
namespace {

LayerRecord layer(int32_t index, double solve_seconds) {
  LayerRecord record;
  record.layer = index;
  record.report.set_layer(index);
  v1::PhaseTime* phase = record.report.add_phases();
  phase->set_phase("solve");
  phase->set_seconds(solve_seconds);
  phase->set_flops(10.0);
  return record;
}

TEST(Report, SumsPhasesAndTimeWithoutCountingOverlapsTwice) {
  JobRecord job;
  job.assemble_us = 500'000;
  job.resumed_layers = 1;
  job.computed_layers = 2;
  job.perplexity = 12.0;
  const std::vector<LeaseRecord> leases{{1, 0, 1, "a", 1, 1'000'000, 3'000'000, ""},
                                        {2, 1, 2, "b", 1, 2'000'000, 4'000'000, ""},
                                        {3, 1, 2, "b", 1, 9'000'000, {}, ""}};
  const v1::Report report = build_report(job, {layer(0, 1.5), layer(1, 2.0)}, leases, 10'000'000);
  EXPECT_DOUBLE_EQ(report.seconds(), 4.0);
  ASSERT_EQ(report.phases_size(), 2);
  EXPECT_EQ(report.phases(0).phase(), "solve");
  EXPECT_DOUBLE_EQ(report.phases(0).seconds(), 3.5);
  EXPECT_DOUBLE_EQ(report.phases(0).flops(), 20.0);
  EXPECT_EQ(report.phases(1).phase(), "assemble");
  EXPECT_EQ(report.layers_size(), 2);
  EXPECT_EQ(report.resumed_layers(), 1);
  EXPECT_EQ(report.computed_layers(), 2);
  EXPECT_EQ(report.perplexity(), 12.0);
}

}  // namespace
}  // namespace rotor::coordinator
