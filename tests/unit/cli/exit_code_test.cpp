#include "ops/cli/exit_code.h"

#include <gtest/gtest.h>

namespace rotor::cli {
namespace {

TEST(ExitCode, FollowsTheCode) {
  EXPECT_EQ(exit_code(Status()), 0);
  EXPECT_EQ(exit_code(internal_error("x")), 1);
  EXPECT_EQ(exit_code(data_loss("x")), 1);
  EXPECT_EQ(exit_code(invalid_argument("x")), 2);
  EXPECT_EQ(exit_code(not_found("x")), 2);
  EXPECT_EQ(exit_code(already_exists("x")), 2);
  EXPECT_EQ(exit_code(failed_precondition("x").with_reason("SOURCE_CHANGED")), 2);
  EXPECT_EQ(exit_code(unavailable("x")), 69);
}

TEST(ExitCode, TheReasonGoesFirst) {
  EXPECT_EQ(exit_code(invalid_argument("x").with_reason(kReasonJobFailed)), 1);
  EXPECT_EQ(exit_code(unavailable("x").with_reason(kReasonJobFailed)), 1);
  EXPECT_EQ(exit_code(cancelled("x").with_reason(kReasonJobCancelled)), 1);
  EXPECT_EQ(exit_code(aborted("x").with_reason(kReasonNoProgress)), 1);
  EXPECT_EQ(exit_code(data_loss("x").with_reason(kReasonInvalidCheckpoint)), 1);
  EXPECT_EQ(exit_code(failed_precondition("x").with_reason(kReasonAlreadyRunning)), 2);
  EXPECT_EQ(exit_code(internal_error("x").with_reason(kReasonUsage)), 2);
  EXPECT_EQ(exit_code(internal_error("x").with_reason(kReasonUnreachable)), 69);
  EXPECT_EQ(exit_code(cancelled("x").with_reason(kReasonInterrupted)), 75);
  EXPECT_EQ(exit_code(failed_precondition("x").with_reason(kReasonMissingProgram)), 78);
  EXPECT_EQ(exit_code(failed_precondition("x").with_reason(kReasonConfiguration)), 78);
}

}  // namespace
}  // namespace rotor::cli
