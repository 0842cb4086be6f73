#include "quant/engines/engine_rules.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace rotor {
namespace {

TEST(EngineRules, EveryRuleHasItsEvidenceAndEveryRefusalItsRemedy) {
  for (const EngineRule& rule : engine_rules()) {
    EXPECT_FALSE(rule.source.empty()) << rule.why;
    EXPECT_EQ(rule.evidence == Evidence::kNone, rule.verdict == Verdict::kUnknown) << rule.why;
    const bool runs = rule.verdict == Verdict::kRuns || rule.verdict == Verdict::kRunsAsW4A4;
    EXPECT_EQ(rule.remedy.empty(), runs) << rule.why;
    EXPECT_TRUE(runs || !rule.why.empty()) << rule.source;
    EXPECT_LT(rule.versions, 1U << engine_versions(rule.engine).size());
  }
}

// The page is made from the table: on a mismatch, put what the failure shows between the marks.
TEST(EngineRules, ThePageOfEnginesHasThisTable) {
  std::ifstream file(std::string(ROTOR_SOURCE_DIR) + "/docs/engines.md");
  std::stringstream page;
  page << file.rdbuf();
  const std::string text = page.str();
  const std::string begin = "<!-- rules -->\n";
  const size_t from = text.find(begin);
  const size_t to = text.find("<!-- end -->", from);
  ASSERT_NE(to, std::string::npos) << "docs/engines.md has no table";
  EXPECT_EQ(text.substr(from + begin.size(), to - from - begin.size()), engine_rules_markdown());
}

}  // namespace
}  // namespace rotor
