#include "ops/cli/job_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "proto/errors.h"

namespace rotor::cli {
namespace {

v1::Report sample_report() {
  v1::Report report;
  v1::Job& job = *report.mutable_job();
  job.set_name("jobs/7");
  job.set_state(v1::JOB_STATE_SUCCEEDED);
  job.set_output_path("/out/m");
  job.set_layers(2);
  job.set_committed_layers(2);
  job.mutable_create_time()->set_seconds(1769860800);
  job.mutable_spec()->set_format(v1::FORMAT_NVFP4);
  job.mutable_spec()->set_max_shard_size(5'000'000'000);
  report.set_seconds(12.5);
  report.set_resumed_layers(1);
  report.set_computed_layers(2);
  report.set_fallbacks(1);
  v1::ModuleReport& module = *report.add_layers()->add_modules();
  module.set_name("model.layers.0.mlp.up_proj");
  module.set_relative_error(0.25);
  module.set_rtn_relative_error(0.5);
  module.set_damping(0.01);
  module.set_rotation(16);
  module.set_method("mr-gptq");
  module.add_fallbacks()->set_kind("DAMPING_RAISED");
  v1::PhaseTime& phase = *report.add_phases();
  phase.set_phase("solve");
  phase.set_seconds(3);
  return report;
}

// The keys that design.md promises to scripts.
TEST(ReportJson, HasTheKeysOfTheContract) {
  const Json json = report_json(sample_report());
  EXPECT_EQ(json["job"], "jobs/7");
  EXPECT_EQ(json["state"], "SUCCEEDED");
  EXPECT_EQ(json["output"], "/out/m");
  EXPECT_EQ(json["seconds"], 12.5);
  EXPECT_EQ(json["resumed_layers"], 1);
  EXPECT_EQ(json["computed_layers"], 2);
  EXPECT_EQ(json["fallbacks"], 1);
  EXPECT_EQ(json["phases"][0]["phase"], "solve");
  EXPECT_FALSE(json.contains("perplexity"));
  const Json& module = json["modules"][0];
  EXPECT_EQ(module["name"], "model.layers.0.mlp.up_proj");
  EXPECT_EQ(module["relative_error"], 0.25);
  EXPECT_EQ(module["rtn_relative_error"], 0.5);
  EXPECT_EQ(module["damping"], 0.01);
  EXPECT_EQ(module["rotation"], 16);
  EXPECT_EQ(module["method"], "mr-gptq");
  EXPECT_EQ(module["fallbacks"][0]["kind"], "DAMPING_RAISED");
}

TEST(ReportJson, HasThePerplexityThatWasMeasured) {
  v1::Report report = sample_report();
  report.set_perplexity(11.5);
  EXPECT_EQ(report_json(report)["perplexity"], 11.5);
}

TEST(JobJson, NumbersAreNumbersAndTimesAreText) {
  const Json json = job_json(sample_report().job());
  EXPECT_EQ(json["spec"]["max_shard_size"], 5'000'000'000);
  EXPECT_EQ(json["spec"]["format"], "nvfp4");
  EXPECT_EQ(json["create_time"], "2026-01-31T12:00:00Z");
  EXPECT_EQ(json["update_time"], "");
  EXPECT_FALSE(json.contains("cause"));
}

TEST(JobJson, ShowsTheCause) {
  v1::Job job;
  *job.mutable_cause() =
      to_cause(resource_exhausted("full").with_reason("DISK_FULL").with_detail("bytes", "12"));
  const Json json = job_json(job);
  EXPECT_EQ(json["cause"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(json["cause"]["reason"], "DISK_FULL");
  EXPECT_EQ(json["cause"]["details"]["bytes"], "12");
}

TEST(EventJson, NamesEachKind) {
  v1::JobEvent event;
  event.set_revision(3);
  EXPECT_EQ(event_json(event)["event"], "unknown");
  event.mutable_state()->set_state(v1::JOB_STATE_RUNNING);
  EXPECT_EQ(event_json(event)["event"], "state");
  EXPECT_EQ(event_json(event)["state"], "RUNNING");
  event.mutable_leased()->set_ranks(2);
  EXPECT_EQ(event_json(event)["event"], "leased");
  event.mutable_stage()->set_stage(1);
  EXPECT_EQ(event_json(event)["event"], "stage");
  event.mutable_committed()->set_layer(5);
  EXPECT_EQ(event_json(event)["event"], "committed");
  EXPECT_EQ(event_json(event)["layer"], 5);
  event.mutable_lost()->set_reason("EXPIRED");
  EXPECT_EQ(event_json(event)["event"], "lost");
  event.mutable_assembled()->set_files(2);
  EXPECT_EQ(event_json(event)["event"], "assembled");
  EXPECT_EQ(event_json(event)["revision"], 3);
}

}  // namespace
}  // namespace rotor::cli
