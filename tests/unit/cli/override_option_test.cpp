#include "ops/cli/override_option.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor::cli {
namespace {

TEST(ParseOverride, SetsOnlyWhatIsNamed) {
  const Result<v1::Override> result = parse_override("*.down_proj:damping=0.05");
  ASSERT_OK(result);
  EXPECT_EQ(result->pattern(), "*.down_proj");
  EXPECT_EQ(result->damping(), 0.05);
  EXPECT_FALSE(result->has_act_order());
  EXPECT_EQ(result->method(), v1::METHOD_UNSPECIFIED);
  EXPECT_EQ(result->scale_search(), v1::SCALE_SEARCH_UNSPECIFIED);
}

TEST(ParseOverride, TakesEveryKey) {
  const Result<v1::Override> result =
      parse_override("a:method=mr-gptq,scale-search=absmax,act-order=off,damping=1e-3");
  ASSERT_OK(result);
  EXPECT_EQ(result->method(), v1::METHOD_MR_GPTQ);
  EXPECT_EQ(result->scale_search(), v1::SCALE_SEARCH_ABSMAX);
  EXPECT_TRUE(result->has_act_order());
  EXPECT_FALSE(result->act_order());
  EXPECT_EQ(result->damping(), 1e-3);
}

TEST(ParseOverride, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {{"down_proj", "no override"},
                                                       {":damping=1", "no override"},
                                                       {"a:", "no override"},
                                                       {"a:damping", "has no '='"},
                                                       {"a:damping=much", "'much' is not a number"},
                                                       {"a:act-order=maybe", "not one of on|off"},
                                                       {"a:method=magic", "rtn|gptq|mr-gptq"},
                                                       {"a:rotation=16", "no key 'rotation'"}};
  for (const auto& [text, words] : cases) {
    EXPECT_FAILS(parse_override(text), Code::kInvalidArgument, "", words);
  }
}

}  // namespace
}  // namespace rotor::cli
