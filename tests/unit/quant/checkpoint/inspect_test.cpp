#include "quant/checkpoint/inspect.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;

TEST(Inspect, CountsBytesAndModules) {
  const TemporaryDirectory dir;
  ASSERT_OK(testing::write_small_checkpoint(dir.path(), {.max_shard_bytes = 100'000}));
  const auto report = inspect_checkpoint(posix_file_system(), dir.path());
  ASSERT_OK(report);
  EXPECT_TRUE(report->quantized);
  EXPECT_EQ(report->scheme.format, Format::kNvfp4);
  EXPECT_EQ(report->ignored, std::vector<std::string>{"lm_head"});
  EXPECT_GT(report->shards, 1);
  ASSERT_EQ(report->modules.size(), 7U);
  int64_t elements = 0;
  for (const InspectedModule& module : report->modules) {
    const int64_t size = module.rows * module.cols;
    elements += size;
    EXPECT_EQ(module.bytes, size / 2 + size / 16 + 4);
    EXPECT_NEAR(module.bits_per_weight, 4.5, 0.01);
  }
  EXPECT_EQ(report->module_source_bytes, 2 * elements);
  int64_t owned = 0;
  int64_t all = 0;
  for (const InspectedTensor& tensor : report->tensors) {
    all += tensor.spec.byte_size();
    owned += tensor.module.empty() ? 0 : tensor.spec.byte_size();
  }
  EXPECT_EQ(owned, report->module_bytes);
  EXPECT_EQ(all, report->data_bytes);
  EXPECT_TRUE(report->report.empty());
}

TEST(Inspect, ReadsTheErrorTable) {
  const TemporaryDirectory dir;
  ASSERT_OK(testing::write_small_checkpoint(dir.path(), {}));
  dir.put(kReportName, R"({"format": "nvfp4", "modules": [
      {"name": "a", "relative_error": 0.01, "rtn_relative_error": 0.02, "damping": 0.01,
       "rotation": 16, "method": "mr-gptq", "tokens": 1024, "fallbacks": []},
      {"name": "b", "fallbacks": [{"kind": "DAMPING_RAISED", "detail": "to 0.1"}]}]})");
  const auto report = inspect_checkpoint(posix_file_system(), dir.path());
  ASSERT_OK(report);
  ASSERT_EQ(report->report.size(), 2U);
  EXPECT_EQ(report->report[0].name, "a");
  EXPECT_EQ(report->report[0].relative_error, 0.01);
  EXPECT_EQ(report->report[0].rtn_relative_error, 0.02);
  EXPECT_EQ(report->report[0].method, "mr-gptq");
  EXPECT_EQ(report->report[0].tokens, 1024);
  EXPECT_EQ(report->report[1].fallbacks, std::vector<std::string>{"DAMPING_RAISED: to 0.1"});
  for (const char* bad : {"{}", "[]", R"({"modules": 1})", R"({"modules": [{}]})",
                          R"({"modules": [{"name": "a", "damping": "x"}]})"}) {
    dir.put(kReportName, bad);
    EXPECT_FAILS(inspect_checkpoint(posix_file_system(), dir.path()), Code::kInvalidArgument,
                 "BAD_REPORT", kReportName);
  }
}

TEST(Inspect, ShowsOriginalModels) {
  const auto report =
      inspect_checkpoint(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  ASSERT_OK(report);
  EXPECT_FALSE(report->quantized);
  EXPECT_TRUE(report->modules.empty());
  EXPECT_GT(report->data_bytes, 0);
}

}  // namespace
}  // namespace rotor
