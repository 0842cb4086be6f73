#include "model/name_pattern.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

bool matches(const std::string& pattern, const std::string& name) {
  const auto parsed = NamePattern::parse(pattern);
  EXPECT_OK(parsed);
  const auto matched = parsed->matches(name);
  EXPECT_OK(matched);
  return *matched;
}

TEST(NamePattern, MatchesAGlobOverTheWholeName) {
  EXPECT_TRUE(matches("*.down_proj", "model.layers.0.mlp.down_proj"));
  EXPECT_FALSE(matches("down_proj", "model.layers.0.mlp.down_proj"));
}

TEST(NamePattern, MatchesARegularExpressionAtTheStartAsPythonDoes) {
  EXPECT_TRUE(matches("re:.*lm_head", "lm_head"));
  EXPECT_TRUE(matches("re:.*mlp.gate$", "model.layers.1.mlp.gate"));
  EXPECT_FALSE(matches("re:.*mlp.gate$", "model.layers.1.mlp.gate_proj"));
  EXPECT_TRUE(matches("re:model.layers.0", "model.layers.0.mlp.down_proj")) << "the end is open";
  EXPECT_FALSE(matches("re:layers.0", "model.layers.0.mlp.down_proj")) << "the start is not";
  EXPECT_TRUE(
      matches(R"(re:.*layers\.(?P<n>\d+)\.(?!mlp).*proj)", "model.layers.3.self_attn.q_proj"));
  EXPECT_FALSE(matches(R"(re:.*layers\.\d+\.(?!mlp).*proj)", "model.layers.3.mlp.up_proj"));
}

TEST(NamePattern, RefusesWhatIsNoRegularExpression) {
  EXPECT_FAILS(NamePattern::parse("re:("), Code::kInvalidArgument, "BAD_PATTERN", "re:(");
}

TEST(NamePattern, RefusesWhatTakesTooLongOnAName) {
  // Every way to cut the name's letters into runs is tried before "!" is missed.
  const auto pattern = NamePattern::parse("re:((\\w+)\\.?)+!");
  ASSERT_OK(pattern);
  const auto matched = pattern->matches("model.layers.0.self_attn.q_proj_of_a_name_that_is_long");
  EXPECT_FAILS(matched, Code::kInvalidArgument, "BAD_PATTERN", "U_REGEX_TIME_OUT");
  EXPECT_NE(matched.status().message().find("glob"), std::string::npos);
}

}  // namespace
}  // namespace rotor
