#include "model/tokenizer/added_tokens.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

/// Plain text as it is, tokens as "<id>".
std::string split(const AddedTokens& tokens, std::string_view text) {
  std::string out;
  EXPECT_OK(tokens.split(
      {text, true},
      [&](const Piece& plain) {
        EXPECT_FALSE(plain.text.empty());
        EXPECT_EQ(plain.at_start, plain.text.data() == text.data());
        out.append("[").append(plain.text).append("]");
        return Status();
      },
      [&](int32_t id) {
        out.append("<").append(std::to_string(id)).append(">");
        return Status();
      }));
  return out;
}

TEST(AddedTokens, TakesTheLeftmostThenTheLongest) {
  AddedTokens tokens;
  tokens.add({.id = 1, .content = "ab"});
  tokens.add({.id = 2, .content = "abc"});
  tokens.add({.id = 3, .content = "bcd"});
  EXPECT_EQ(split(tokens, "xabcdab"), "[x]<2>[d]<1>");
  EXPECT_EQ(split(tokens, "bcd"), "<3>");
  EXPECT_EQ(split(tokens, ""), "");
  EXPECT_EQ(split({}, "x"), "[x]");
}

TEST(AddedTokens, KeepsSingleWordsApart) {
  AddedTokens tokens;
  tokens.add({.id = 1, .content = "ab", .single_word = true});
  EXPECT_EQ(split(tokens, "ab ab. xab abé _ab ab"), "<1>[ ]<1>[. xab abé _ab ]<1>");
}

TEST(AddedTokens, TakesWhiteSpaceAround) {
  AddedTokens tokens;
  tokens.add({.id = 1, .content = "L", .lstrip = true});
  tokens.add({.id = 2, .content = "R", .rstrip = true});
  EXPECT_EQ(split(tokens, "a \u3000L b R\n c"), "[a]<1>[ b ]<2>[c]");
  EXPECT_EQ(split(tokens, "R  L"), "<2><1>");
}

TEST(AddedTokens, LooksThroughWhiteSpaceOnce) {
  AddedTokens tokens;
  tokens.add({.id = 1, .content = "\n", .rstrip = true});
  int64_t found = 0;
  const std::string text(400'000, '\n');
  EXPECT_OK(tokens.split(
      {text, true}, [](const Piece&) { return internal_error("between two tokens"); },
      [&](int32_t) {
        ++found;
        return Status();
      }));
  EXPECT_EQ(found, std::ssize(text));
}

}  // namespace
}  // namespace rotor
