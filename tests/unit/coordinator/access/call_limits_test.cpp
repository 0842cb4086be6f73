#include "coordinator/access/call_limits.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"

namespace rotor::coordinator {
namespace {

/// Tickets of one kind until one is refused.
std::vector<CallLimits::Ticket> take_all(CallLimits* limits, CallKind kind,
                                         const std::string& caller) {
  std::vector<CallLimits::Ticket> tickets;
  while (true) {
    Result<CallLimits::Ticket> ticket = limits->enter(kind, caller);
    if (!ticket.ok()) {
      EXPECT_FAILS(ticket, Code::kResourceExhausted, "TOO_MANY_CALLS", "try again");
      return tickets;
    }
    tickets.push_back(std::move(ticket).value());
  }
}

TEST(CallLimits, ACallerMayHaveItsShareAndNoMore) {
  CallLimits limits;
  auto crowd = take_all(&limits, CallKind::kKnock, "crowd");
  EXPECT_EQ(crowd.size(), 32U);
  EXPECT_OK(limits.enter(CallKind::kKnock, "honest"));
  EXPECT_OK(limits.enter(CallKind::kWatch, "crowd"));
  crowd.pop_back();
  EXPECT_OK(limits.enter(CallKind::kKnock, "crowd"));
}

TEST(CallLimits, ManyCallersTogetherFindTheEnd) {
  CallLimits limits;
  std::vector<std::vector<CallLimits::Ticket>> held;
  size_t all = 0;
  for (int caller = 0; caller < 10; ++caller) {
    held.push_back(take_all(&limits, CallKind::kKnock, std::to_string(caller)));
    all += held.back().size();
  }
  EXPECT_EQ(all, 256U);
  held.clear();
  EXPECT_OK(limits.enter(CallKind::kKnock, "late"));
}

TEST(CallLimits, AFloodOfShortCallsIsSlowedDown) {
  CallLimits limits;
  int served = 0;
  for (int i = 0; i < 3000; ++i) {
    served += limits.enter(CallKind::kCall, "flood").ok() ? 1 : 0;
  }
  EXPECT_GE(served, 1000);
  EXPECT_LT(served, 3000);
  EXPECT_OK(limits.enter(CallKind::kCall, "honest"));
}

}  // namespace
}  // namespace rotor::coordinator
