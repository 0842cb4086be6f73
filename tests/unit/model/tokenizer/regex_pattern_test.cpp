#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "model/tokenizer/split_pattern.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

using Segments = std::vector<std::pair<std::string, bool>>;

Segments segments(const std::string& regex, const std::string& text) {
  auto pattern = make_regex_pattern(regex);
  EXPECT_OK(pattern);
  Segments found;
  EXPECT_OK((*pattern)->segments(text, [&](std::string_view segment, bool is_match) {
    found.emplace_back(segment, is_match);
    return Status();
  }));
  return found;
}

TEST(RegexPattern, CoversTheTextWithMatchesAndGaps) {
  EXPECT_EQ(segments("[0-9]+", "ab12中3"),
            (Segments{{"ab", false}, {"12", true}, {"中", false}, {"3", true}}));
  EXPECT_EQ(segments("x", "😀é"), (Segments{{"😀é", false}}));
  EXPECT_TRUE(segments("x", "").empty());
}

TEST(RegexPattern, ReadsLinesAsOnigurumaDoes) {
  EXPECT_EQ(segments("^a", "a\na\ra"),
            (Segments{{"a", true}, {"\n", false}, {"a", true}, {"\ra", false}}));
  EXPECT_EQ(segments("a.", "a\ra\n"), (Segments{{"a\r", true}, {"a\n", false}}));
}

TEST(RegexPattern, FindsTheSameInALongTextAsInAShortOne) {
  // Longer than a block by far: runs that cross its end, matches that depend on what follows, and
  // gaps where only a failed attempt looked ahead.
  std::string text;
  for (int i = 0; text.size() < 300'000; ++i) {
    text += "word" + std::to_string(i) + std::string(static_cast<size_t>(i % 7), ' ') + "é中\n";
  }
  const std::string run(200'000, ' ');
  const Segments whole = segments(R"(\s+(?!\S)|\s+|\S+)", text + run + "end");
  std::string joined;
  for (size_t i = 0; i < whole.size(); ++i) {
    joined += whole[i].first;
    EXPECT_TRUE(whole[i].second);
    if (i + 1 < whole.size() && whole[i].first.find_first_not_of(" \n") != std::string::npos) {
      EXPECT_NE(whole[i + 1].first.find_first_of(" \n"), std::string::npos) << "a cut word";
    }
  }
  EXPECT_EQ(joined, text + run + "end");
  ASSERT_GE(whole.size(), 3U);
  EXPECT_EQ(whole.back().first, "end");
  EXPECT_EQ(whole[whole.size() - 2].first, " ");
  EXPECT_EQ(whole[whole.size() - 3].first.size(), run.size() - 1 + 1) << "with the line end";

  const std::string filler(100'000, 'b');
  EXPECT_EQ(segments("a.*c|b+", "a" + filler + "c"), (Segments{{"a" + filler + "c", true}}));
  EXPECT_EQ(segments("(?<=b)c", filler + "c"), (Segments{{filler, false}, {"c", true}}));
}

TEST(RegexPattern, EndsAHopelessSearch) {
  auto pattern = make_regex_pattern("(a+)+b");
  ASSERT_OK(pattern);
  EXPECT_FAILS(
      (*pattern)->segments(std::string(60, 'a'), [](std::string_view, bool) { return Status(); }),
      Code::kResourceExhausted, "REGEX_LIMIT", "(a+)+b");
}

TEST(RegexPattern, RefusesWhatCannotBeCompiled) {
  EXPECT_FAILS(make_regex_pattern("(a"), Code::kUnimplemented, "UNSUPPORTED_TOKENIZER",
               "cannot be used");
  EXPECT_FAILS(make_regex_pattern(R"(\p{NoSuchThing})"), Code::kUnimplemented,
               "UNSUPPORTED_TOKENIZER", "NoSuchThing");
}

}  // namespace
}  // namespace rotor
