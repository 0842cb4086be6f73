#include "proto/pages/report_page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/unit/proto/pages/small_report.h"

namespace rotor {
namespace {

using Json = nlohmann::ordered_json;

void expect_words(const std::string& page, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    EXPECT_NE(page.find(word), std::string::npos) << word << " is not in\n" << page;
  }
}

TEST(ReportPage, ShowsWhatIsKnown) {
  ReportFacts facts = report_facts(testing::small_report());
  ASSERT_OK(add_evaluation({{"perplexity", 15.25},
                            {"tokens", 2046},
                            {"source_perplexity", 14.5},
                            {"kl", 0.125},
                            {"same_top", 0.75}},
                           &facts));
  const std::string page = report_page(facts);
  expect_words(page, {"jobs/1",
                      "15.2500",
                      "14.5000",
                      "0.12500",
                      "75.00 %",
                      "2.5 MB",
                      "1m15s",
                      "mind &lt;this&gt;",
                      "vllm: W4A16",
                      "mlp.experts.up_proj",
                      "2.0e-03",
                      "mean of 2",
                      "ROUND_TO_NEAREST",
                      "model.layers.1.mlp.experts.1.up_proj: 3 tokens",
                      "75.0%",
                      "<td class=\"n\">2</td>",
                      "node-1",
                      "damping",
                      "102",
                      "103"});
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page, report_page(facts));
}

TEST(ReportPage, HasNoSectionForWhatIsNotKnown) {
  ReportFacts facts;
  facts.name = "m";
  const std::string page = report_page(facts);
  for (const char* section : {"Workers", "Where the time went", "Fallbacks", "Tokens of", "KL"}) {
    EXPECT_EQ(page.find(section), std::string::npos) << section;
  }
}

TEST(ReportFacts, AreReadFromTheFileOfACheckpoint) {
  const Json file = {{"options", {{"format", "nvfp4"}, {"damping", 0.01}, {"ignore", {"lm_head"}}}},
                     {"serving_modes", {"vllm: W4A16"}},
                     {"modules",
                      {{{"name", "layers.0.q"},
                        {"relative_error", "Infinity"},
                        {"tokens", 7},
                        {"of a later version", 1},
                        {"fallbacks", {{{"kind", "K"}, {"detail", "d"}}}}}}},
                     {"perplexity", 9.5}};
  const Result<ReportFacts> facts = report_facts("m", file, 5);
  ASSERT_OK(facts.status());
  EXPECT_EQ(facts->settings[2].second, "[\"lm_head\"]");
  EXPECT_TRUE(std::isinf(facts->modules[0].relative_error()));
  EXPECT_EQ(facts->modules[0].fallbacks(0).kind(), "K");
  EXPECT_EQ(facts->perplexity, 9.5);
  EXPECT_EQ(mean_errors(*facts).fallbacks, 1);
  for (const char* key : {"options", "serving_modes", "modules"}) {
    Json broken = file;
    broken[key] = "text";
    EXPECT_FAILS(report_facts("m", broken, 5).status(), Code::kInvalidArgument, "BAD_REPORT", key);
  }
  Json broken = file;
  broken["modules"][0]["name"] = 3.5;
  broken["modules"][0]["tokens"] = "many";
  EXPECT_FAILS(report_facts("m", broken, 5).status(), Code::kInvalidArgument, "BAD_REPORT",
               "modules[0]");
}

TEST(ReportFacts, TakeNoEvaluationWithoutAPerplexity) {
  ReportFacts facts;
  EXPECT_FAILS(add_evaluation({{"perplexity", nullptr}}, &facts), Code::kInvalidArgument,
               "BAD_EVALUATION", "rotor eval");
}

}  // namespace
}  // namespace rotor
