#include "proto/pages/comparison.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/proto/pages/small_report.h"

namespace rotor {
namespace {

Comparison with_another() {
  v1::Report other = testing::small_report();
  other.mutable_job()->set_name("jobs/2<b>");
  other.mutable_job()->mutable_spec()->set_damping(0.05);
  other.mutable_layers(0)->mutable_modules(0)->set_relative_error(5e-4);
  other.mutable_layers(0)->mutable_modules(1)->set_relative_error(1.1e-3);
  other.mutable_layers(1)->mutable_modules()->RemoveLast();
  other.mutable_layers(1)->add_modules()->set_name("lm_head");
  other.clear_perplexity();
  return compare(report_facts(testing::small_report()), report_facts(other));
}

TEST(Comparison, FindsSettingsAndModulesThatDiffer) {
  const Comparison comparison = with_another();
  ASSERT_EQ(comparison.settings.size(), 1U);
  EXPECT_EQ(comparison.settings[0].name, "damping");
  EXPECT_EQ(comparison.settings[0].b, "0.05");
  EXPECT_EQ(comparison.modules.size(), 5U);
  EXPECT_EQ(comparison.only_a, std::vector<std::string>{"model.layers.1.mlp.experts.1.up_proj"});
  EXPECT_EQ(comparison.only_b, std::vector<std::string>{"lm_head"});
  const std::vector<ChangedModule> changed = most_changed(comparison, 10);
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_EQ(changed[0].name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(most_changed(comparison, 1).size(), 1U);
}

TEST(Comparison, SaysWhatOneSideDoesNotKnow) {
  const auto rows = side_by_side(with_another());
  const auto found = std::find_if(rows.begin(), rows.end(),
                                  [](const auto& row) { return row[0] == "perplexity"; });
  ASSERT_NE(found, rows.end());
  EXPECT_EQ((*found)[1], "15.5000");
  EXPECT_EQ((*found)[2], "-");
}

TEST(Comparison, IsAPageAndAnObject) {
  const Comparison comparison = with_another();
  const std::string page = comparison_page(comparison);
  for (const char* word : {"jobs/2&lt;b&gt;", "damping", "0.05", ">0.50<", "lm_head",
                           "5.000e-04 in B", "vllm: W4A16"}) {
    EXPECT_NE(page.find(word), std::string::npos) << word << " is not in\n" << page;
  }
  const nlohmann::ordered_json json = comparison_json(comparison);
  EXPECT_EQ(json["a"]["perplexity"], 15.5);
  EXPECT_FALSE(json["b"].contains("perplexity"));
  EXPECT_EQ(json["modules"].size(), 5U);
}

}  // namespace
}  // namespace rotor
