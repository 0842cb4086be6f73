#include "worker/comm/rank_table.h"

#include <gtest/gtest.h>

namespace rotor::worker {
namespace {

constexpr Seconds kSecond{1};

RankTable three_ranks(std::vector<int> watched) {
  return {{{"a", 1}, {"a", 2}, {"b", 3}}, std::move(watched), {Seconds(20), Seconds(30)}};
}

RankBeat waited(double seconds) {
  RankBeat beat;
  beat.waited = seconds;
  return beat;
}

// faults.38
TEST(RankTable, Faults38_ARankThatFallsSilentIsNamed) {
  RankTable table = three_ranks({1, 2});
  for (int second = 0; second < 19; ++second) {
    table.heard(1, {});
    table.pass(kSecond);
    EXPECT_FALSE(table.lost().has_value());
  }
  table.heard(1, {});
  table.pass(kSecond);
  EXPECT_TRUE(table.ranks()[1].heard);
  EXPECT_FALSE(table.ranks()[2].heard);
  EXPECT_EQ(table.lost(), 2);
  EXPECT_EQ(table.ranks()[2].identity.host, "b");
  EXPECT_EQ(table.ranks()[2].silent, Seconds(20));
}

TEST(RankTable, ARankThatLeavesInGoodOrderIsNotMissed) {
  RankTable table = three_ranks({1});
  RankBeat last;
  last.leaving = true;
  table.heard(1, last);
  for (int second = 0; second < 60; ++second) {
    table.pass(kSecond);
  }
  EXPECT_FALSE(table.lost().has_value());
}

// faults.05
TEST(RankTable, Faults05_AGroupThatWasStoppedAsAWholeHasLostNobody) {
  RankTable table = three_ranks({1, 2});
  table.pass(Seconds(600));
  EXPECT_FALSE(table.lost().has_value());
}

// faults.05
TEST(RankTable, Faults05_ARankTenTimesSlowerIsAStraggler) {
  RankTable table = three_ranks({1, 2});
  for (int second = 1; second <= 30; ++second) {
    EXPECT_FALSE(table.new_straggler().has_value());
    table.heard(0, waited(0.9 * second));
    table.heard(1, waited(0.01 * second));
    table.heard(2, waited(0.85 * second));
    table.pass(kSecond);
  }
  EXPECT_EQ(table.new_straggler(), 1);
  EXPECT_TRUE(table.ranks()[1].straggler);
  EXPECT_NEAR(table.ranks()[0].wait_share, 0.9, 1e-9);
  // It is told once, and forgotten when it has caught up.
  for (int second = 1; second <= 30; ++second) {
    table.heard(1, waited(0.3 + 0.5 * second));
    table.pass(kSecond);
    EXPECT_FALSE(table.new_straggler().has_value());
  }
  EXPECT_FALSE(table.ranks()[1].straggler);
}

TEST(RankTable, RanksThatWaitInTurnsAreNoStragglers) {
  RankTable table = three_ranks({1, 2});
  for (int second = 1; second <= 60; ++second) {
    for (int rank = 0; rank < 3; ++rank) {
      table.heard(rank, waited(0.1 * (rank + 1) * second));
    }
    table.pass(kSecond);
    EXPECT_FALSE(table.new_straggler().has_value());
  }
}

}  // namespace
}  // namespace rotor::worker
