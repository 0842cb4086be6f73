#include "coordinator/state_lock.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor::coordinator {
namespace {

// faults.07
TEST(StateLock, Faults07_TheSecondIsRefusedAndToldWhoHoldsIt) {
  const testing::TemporaryDirectory directory;
  std::optional<Result<StateLock>> first(StateLock::acquire(directory.path()));
  ASSERT_OK(*first);
  const Result<StateLock> second = StateLock::acquire(directory.path());
  EXPECT_FAILS(second, Code::kFailedPrecondition, "STATE_DIR_IN_USE",
               "pid " + std::to_string(::getpid()));
  first.reset();
  EXPECT_OK(StateLock::acquire(directory.path()));
}

// faults.36
TEST(StateLock, Faults36_HoldsThoughItsFileIsRemoved) {
  const testing::TemporaryDirectory directory;
  std::optional<Result<StateLock>> first(StateLock::acquire(directory.path()));
  ASSERT_OK(*first);
  ASSERT_OK(posix_file_system().remove(directory / "lock"));
  EXPECT_FAILS(StateLock::acquire(directory.path()), Code::kFailedPrecondition, "STATE_DIR_IN_USE",
               "lock file was removed");
  first.reset();
  EXPECT_OK(StateLock::acquire(directory.path()));
}

TEST(StateLock, NamesADirectoryThatIsMissing) {
  EXPECT_FAILS(StateLock::acquire("/no/such/directory"), Code::kNotFound, "FILE_NOT_FOUND",
               "/no/such/directory/lock");
}

}  // namespace
}  // namespace rotor::coordinator
