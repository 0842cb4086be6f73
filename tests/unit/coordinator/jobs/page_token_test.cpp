#include "coordinator/jobs/page_token.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

TEST(PageToken, ComesBackForTheSameFilterOnly) {
  const std::vector<v1::JobState> states{v1::JOB_STATE_FAILED, v1::JOB_STATE_PENDING};
  const std::string token = make_page_token(42, states);
  EXPECT_EQ(*parse_page_token(token, {v1::JOB_STATE_PENDING, v1::JOB_STATE_FAILED}), 42);
  EXPECT_FAILS(parse_page_token(token, {}), Code::kInvalidArgument, "BAD_PAGE_TOKEN", "page_token");
  EXPECT_EQ(*parse_page_token("", states), 0);
}

// faults.30
TEST(PageToken, Faults30_RefusesWhatItDidNotMake) {
  for (const char* token : {"x", "p1-", "p1--1-0", "p1-0-0", "p1-1", "p1-1-0x", "p1- 1-0",
                            "p1-99999999999999999999-0", "p1-01-0"}) {
    EXPECT_FAILS(parse_page_token(token, {}), Code::kInvalidArgument, "BAD_PAGE_TOKEN",
                 "start over")
        << token;
  }
}

}  // namespace
}  // namespace rotor::coordinator
