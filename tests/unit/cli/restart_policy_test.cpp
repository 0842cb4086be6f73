#include "ops/cli/restart_policy.h"

#include <gtest/gtest.h>

namespace rotor::cli {
namespace {

TEST(RestartPolicy, GivesUpAfterThreeDeathsWithoutProgress) {
  RestartPolicy policy;
  EXPECT_EQ(policy.death(), 0.5);
  EXPECT_EQ(policy.death(), 1.0);
  EXPECT_EQ(policy.death(), 2.0);
  EXPECT_EQ(policy.death(), std::nullopt);
  EXPECT_EQ(policy.deaths(), 4);
}

TEST(RestartPolicy, ProgressStartsTheCountAnew) {
  RestartPolicy policy;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(policy.death(), 0.5);
    EXPECT_EQ(policy.death(), 1.0);
    policy.progress();
  }
}

}  // namespace
}  // namespace rotor::cli
