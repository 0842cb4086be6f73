#include "model/tokenizer/oniguruma.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(Oniguruma, KeepsWhatMeansTheSame) {
  for (const char* same :
       {R"((?i:'s|'t)|[^\r\n\p{L}]?\p{L}+| ?[\P{N}]+(?!a)(?=b)(?<=c)(?<!d)(?>e))",
        R"(a{1,3}b*?c++\x{41}\u0041\.\-\[)", "[一-龥]+", "(?i)x", "(?-i:x)"}) {
    const auto translated = icu_pattern_from_oniguruma(same);
    ASSERT_OK(translated);
    EXPECT_EQ(*translated, same);
  }
}

TEST(Oniguruma, RewritesClasses) {
  EXPECT_EQ(icu_pattern_from_oniguruma(R"(\s+|\S|\d\D)").value(), R"([\s]+|[^\s]|[\d][^\d])");
  EXPECT_EQ(icu_pattern_from_oniguruma(R"([^\s\v])").value(), R"([^[\s]\x{B}])");
  EXPECT_EQ(icu_pattern_from_oniguruma(R"(\\s)").value(), R"(\\s)") << "an escaped backslash";
}

TEST(Oniguruma, RefusesWhatMeansSomethingElse) {
  for (const char* bad : {R"((a)\1)", R"(\k<a>)", "(?<name>a)", "(?m:a)", "(?#a)", R"(\bx)",
                          R"(\Ga)", R"(\h)", R"([\h])", R"(\R)", R"(\X)", R"(\Z)", "a{1,2}+",
                          "a{2}?", "[a--b]", R"(\p{^L})", R"(\pL)", "\\"}) {
    EXPECT_FAILS(icu_pattern_from_oniguruma(bad), Code::kUnimplemented, "UNSUPPORTED_TOKENIZER",
                 "is not supported")
        << bad;
  }
}

}  // namespace
}  // namespace rotor
