#include <gtest/gtest.h>

#include <filesystem>

#include "tests/fuzz/targets.h"
#include "tests/support/temporary_directory.h"

namespace rotor::fuzz {
namespace {

// Every file of corpus/, through the entry points that the fuzzers use.
TEST(FuzzCorpus, HasNoFinding) {
  for (const Target& target : targets()) {
    const auto folder = std::filesystem::path(ROTOR_SOURCE_DIR) / "tests/fuzz/corpus" / target.name;
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      SCOPED_TRACE(entry.path().string());
      EXPECT_NO_THROW(target.run(testing::file_bytes(entry.path().string())));
      ++files;
    }
    EXPECT_GE(files, 5) << folder;
  }
}

TEST(FuzzTargets, FindWhatIsWrong) {
  EXPECT_THROW(check(false, "x"), Finding);
  EXPECT_THROW(check_status(internal_error("x").with_reason("X")), Finding);
  EXPECT_THROW(check_status(invalid_argument("no reason")), Finding);
  EXPECT_THROW(check_status(invalid_argument("a\x1b[0m").with_reason("X")), Finding);
  EXPECT_THROW(check_status(invalid_argument("\xC3").with_reason("X")), Finding);
  EXPECT_THROW(check_status(invalid_argument("x").with_reason("X").with_detail("key", "\x01")),
               Finding);
  EXPECT_NO_THROW(check_status(invalid_argument("a\nb é").with_reason("X")));
}

}  // namespace
}  // namespace rotor::fuzz
