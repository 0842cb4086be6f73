// A checkpoint verified, and what was found, for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "quant/checkpoint/verify.h"
#include "tests/support/status_matchers.h"

namespace rotor::testing {

/// On one thread. A checkpoint that cannot be verified fails the test.
inline VerifyReport verified(const std::string& directory) {
  SerialParallel parallel;
  const auto report = verify_checkpoint(posix_file_system(), directory, parallel);
  EXPECT_OK(report);
  return report.ok() ? *report : VerifyReport{};
}

/// "tensor | what" a line. A problem without a remedy fails the test.
inline std::string text_of(const VerifyReport& report) {
  std::string text;
  for (const VerifyProblem& problem : report.problems) {
    EXPECT_FALSE(problem.remedy.empty());
    text += problem.tensor + " | " + problem.what + "\n";
  }
  return text;
}

}  // namespace rotor::testing
