#include <gtest/gtest.h>

#include "model/tokenizer/tokenizer.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(TokenizerNone, SaysThatTheBuildHasNone) {
  EXPECT_FAILS(open_tokenizer("M/tokenizer.json"), Code::kUnimplemented, "UNSUPPORTED_TOKENIZER",
               "M/tokenizer.json: this build has no tokenizer");
}

}  // namespace
}  // namespace rotor
