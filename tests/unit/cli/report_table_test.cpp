#include "ops/cli/report_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace rotor::cli {
namespace {

v1::Report report_of(int modules) {
  v1::Report report;
  report.mutable_job()->set_state(v1::JOB_STATE_SUCCEEDED);
  report.mutable_job()->set_output_path("/out/m");
  report.set_output_bytes(2'500'000);
  for (int i = 0; i < modules; ++i) {
    v1::ModuleReport& module = *report.add_layers()->add_modules();
    module.set_name("layer." + std::to_string(i));
    module.set_relative_error(0.001 * (i + 1));
    module.set_rtn_relative_error(0.002 * (i + 1));
    module.set_method("gptq");
    module.set_damping(0.01);
  }
  return report;
}

TEST(FormatTable, AlignsColumns) {
  EXPECT_EQ(format_table({{"a", "n"}, {"long", "1"}, {"\xC3\xA9", "100"}}, {false, true}),
            "a       n\n"
            "long    1\n"
            "\xC3\xA9     100\n");
}

TEST(ModuleTable, ShowsEveryModuleOfAShortOne) {
  EXPECT_EQ(module_table(report_of(1), false),
            "module       error  rtn error   gain  method  rotation  damping  fallbacks\n"
            "layer.0  1.000e-03  2.000e-03  2.00x  gptq        none     0.01\n");
}

TEST(ModuleTable, ShowsTheTokensWhereModulesSawDifferentNumbersOfThem) {
  v1::Report report = report_of(2);
  report.mutable_layers(0)->mutable_modules(0)->set_tokens(7);
  report.mutable_layers(1)->mutable_modules(0)->set_tokens(12345);
  EXPECT_EQ(module_table(report, false),
            "module       error  rtn error   gain  method  rotation  damping  tokens  fallbacks\n"
            "layer.0  1.000e-03  2.000e-03  2.00x  gptq        none     0.01       7\n"
            "layer.1  2.000e-03  4.000e-03  2.00x  gptq        none     0.01   12345\n");
}

TEST(ModuleTable, CutsALongOneToTheWorst) {
  const std::string cut = module_table(report_of(50), false);
  EXPECT_EQ(std::count(cut.begin(), cut.end(), '\n'), 12);
  EXPECT_LT(cut.find("layer.49"), cut.find("layer.48"));
  EXPECT_EQ(cut.find("layer.39"), std::string::npos);
  EXPECT_NE(cut.find("the 10 worst of 50 modules; --all"), std::string::npos);
  const std::string all = module_table(report_of(50), true);
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 51);
}

TEST(ReportText, SaysWhereTheCheckpointIs) {
  std::ostringstream ignored;
  const Console console(ignored, ignored, OutputFormat::kHuman, Terminal{});
  EXPECT_NE(report_text(report_of(1), false, console).find("checkpoint  /out/m (2.5 MB)\n"),
            std::string::npos);
}

TEST(JobsTable, HasALineForEachJob) {
  v1::Job job;
  job.set_name("jobs/7");
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_layers(4);
  job.set_committed_layers(1);
  job.mutable_spec()->set_format(v1::FORMAT_MXFP4);
  job.mutable_spec()->set_method(v1::METHOD_MR_GPTQ);
  job.set_output_path("/out/m");
  job.set_owner("alice");
  job.set_seconds_left(90);
  job.mutable_create_time()->set_seconds(1000);
  EXPECT_EQ(jobs_table({job}, 1034),
            "job     state    layers  done   left   age  owner  recipe         output  cause\n"
            "jobs/7  RUNNING     1/4   25%  1m30s  34 s  alice  mxfp4 mr-gptq  /out/m\n");
}

}  // namespace
}  // namespace rotor::cli
