#include "ops/cli/calibration_source.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::TemporaryDirectory;

TEST(CalibrationSource, TakesAWeightBehindAColon) {
  const TemporaryDirectory directory;
  EXPECT_EQ(parse_calibration_source("a.jsonl:0.5").file, "a.jsonl");
  EXPECT_EQ(parse_calibration_source("a.jsonl:0.5").weight, 0.5);
  EXPECT_EQ(parse_calibration_source("a:b:2").file, "a:b");
  for (const char* plain : {"a.jsonl", "a.jsonl:", "a.jsonl:0", "a.jsonl:-1", "a:inf", "a:1x"}) {
    EXPECT_EQ(parse_calibration_source(plain).file, plain);
    EXPECT_FALSE(parse_calibration_source(plain).weight) << plain;
  }
  const std::string named = directory.put("text:2", "x");
  EXPECT_EQ(parse_calibration_source(named).file, named);
  const std::string longer_than_any_file(300, 'a');
  EXPECT_EQ(parse_calibration_source(longer_than_any_file + ":2").file, longer_than_any_file);
}

TEST(CalibrationSource, AllHaveWeightsOrNone) {
  EXPECT_OK(check_weights({{"a", {}}, {"b", {}}}));
  EXPECT_OK(check_weights({{"a", 0.5}, {"b", 1.0}}));
  EXPECT_FAILS(check_weights({{"a", 0.5}, {"b", {}}}), Code::kInvalidArgument,
               "BAD_CALIBRATION_OPTIONS", "--calibration b has no weight");
}

TEST(CalibrationSource, SharesOutEveryWindowByTheLargestRemainders) {
  EXPECT_EQ(share_out(10, {{"a", 1.0}, {"b", 1.0}, {"c", 2.0}}), (std::vector<int64_t>{3, 2, 5}));
  EXPECT_EQ(share_out(3, {{"a", 1.0}, {"b", 1.0}}), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(share_out(128, {{"a", 0.7}, {"b", 0.3}}), (std::vector<int64_t>{90, 38}));
  EXPECT_EQ(share_out(1, {{"a", 1e-9}, {"b", 1.0}}), (std::vector<int64_t>{0, 1}));
}

TEST(CalibrationSource, KnowsWhatIsToBeRenderedByNameAndKeys) {
  const TemporaryDirectory directory;
  const auto renders = [&](const char* name, const char* text) {
    return needs_rendering(directory.put(name, text));
  };
  EXPECT_TRUE(renders("a.parquet", ""));
  EXPECT_TRUE(renders("a.arrow", ""));
  EXPECT_TRUE(needs_rendering(directory.path()));
  EXPECT_TRUE(renders("a.jsonl", R"({"id": 1, "messages": []})"));
  EXPECT_TRUE(renders("b.json", R"([{"conversations": []}])"));
  EXPECT_TRUE(renders("c.jsonl", R"({"prompt": "", "completion": ""})"));
  EXPECT_FALSE(renders("d.jsonl", R"({"text": "say \"messages\""})"));
  EXPECT_FALSE(renders("e.txt", R"({"messages": []})"));
  EXPECT_FALSE(needs_rendering(directory / "none.jsonl"));
  EXPECT_TRUE(need_preparation({{directory / "d.jsonl", 1.0}}));
  EXPECT_FALSE(need_preparation({{directory / "d.jsonl", {}}}));
}

}  // namespace
}  // namespace rotor::cli
