#include "ops/cli/log_tail.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace rotor::cli {
namespace {

using testing::TemporaryDirectory;

TEST(LogTail, GivesTheLastLines) {
  const TemporaryDirectory directory;
  EXPECT_EQ(log_tail(directory / "none", 3), "");
  EXPECT_EQ(log_tail(directory.put("empty", ""), 3), "");
  EXPECT_EQ(log_tail(directory.put("short", "a\nb\n"), 3), "a\nb");
  EXPECT_EQ(log_tail(directory.put("long", "a\nb\nc\nd\n\n"), 2), "c\nd");
  EXPECT_EQ(log_tail(directory.put("open", "a\nb\nc"), 1), "c");
  const std::string huge = std::string(200'000, 'x') + "\nlast\n";
  EXPECT_EQ(log_tail(directory.put("huge", huge), 1), "last");
}

}  // namespace
}  // namespace rotor::cli
