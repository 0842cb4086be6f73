#include "coordinator/scheduler/shards.h"

#include <gtest/gtest.h>

namespace rotor::coordinator {
namespace {

ShardState state(Propagate propagate, std::vector<bool> committed,
                 std::vector<HeldShard> held = {}) {
  ShardState result;
  result.propagate = propagate;
  result.committed = std::move(committed);
  result.held = std::move(held);
  return result;
}

void expect_cut(const std::optional<ShardCut>& cut, int32_t first, int32_t end,
                int64_t shrunk = 0) {
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(cut->first, first);
  EXPECT_EQ(cut->end, end);
  EXPECT_EQ(cut->shrunk_fence, shrunk);
}

TEST(Shards, QuantizedIsOneShardFromTheFirstOpenLayer) {
  expect_cut(next_cut(state(Propagate::kQuantized, {true, false, false, false}), 3), 1, 4);
  EXPECT_FALSE(next_cut(state(Propagate::kQuantized, {false, false}, {{1, 0, 2}}), 1).has_value());
  EXPECT_FALSE(next_cut(state(Propagate::kQuantized, {true, true}), 1).has_value());
}

TEST(Shards, QuantizedFillsAHoleAlone) {
  expect_cut(next_cut(state(Propagate::kQuantized, {true, false, true, false}), 1), 1, 2);
}

TEST(Shards, EvaluationGoesWithTheShardThatEndsTheModel) {
  ShardState open = state(Propagate::kQuantized, {true, false, true, false});
  open.evaluation_open = true;
  EXPECT_FALSE(next_cut(open, 1)->evaluate);
  open.committed = {true, true, true, false};
  EXPECT_TRUE(next_cut(open, 1)->evaluate);
  open.committed = {true, true, true, true};
  const auto cut = next_cut(open, 1);
  expect_cut(cut, 4, 4);
  EXPECT_TRUE(cut->evaluate);
  open.held = {{5, 4, 4}};
  EXPECT_FALSE(next_cut(open, 1).has_value());
}

TEST(Shards, OriginalIsSharedOutEvenly) {
  ShardState open = state(Propagate::kOriginal, std::vector<bool>(7, false));
  expect_cut(next_cut(open, 3), 0, 3);
  open.held = {{1, 0, 3}};
  expect_cut(next_cut(open, 2), 3, 5);
  open.held = {{1, 0, 3}, {2, 3, 5}};
  expect_cut(next_cut(open, 1), 5, 7);
}

TEST(Shards, OriginalLeasesRunsBetweenCommittedLayers) {
  expect_cut(next_cut(state(Propagate::kOriginal, {false, true, false, false}), 1), 0, 1);
}

TEST(Shards, ALateGroupTakesHalfOfTheLongestLease) {
  const ShardState open =
      state(Propagate::kOriginal, std::vector<bool>(8, false), {{1, 0, 3}, {2, 3, 8}});
  expect_cut(next_cut(open, 1), 6, 8, 2);
}

TEST(Shards, ALayerInWorkIsNotTaken) {
  // Lease 1 has one open layer left: the one that its group works on.
  const ShardState open = state(Propagate::kOriginal, {true, true, false}, {{1, 0, 3}});
  EXPECT_FALSE(next_cut(open, 1).has_value());
}

TEST(Shards, EveryLayerIsLeasedOnceWhateverTheGroups) {
  for (int groups = 1; groups <= 9; ++groups) {
    ShardState open = state(Propagate::kOriginal, std::vector<bool>(8, false));
    std::vector<int> leased(8, 0);
    for (int idle = groups; idle > 0; --idle) {
      const auto cut = next_cut(open, idle);
      if (!cut || cut->shrunk_fence != 0) {
        break;
      }
      for (int32_t layer = cut->first; layer < cut->end; ++layer) {
        ++leased[static_cast<size_t>(layer)];
      }
      open.held.push_back({idle, cut->first, cut->end});
    }
    EXPECT_EQ(leased, std::vector<int>(8, 1)) << groups << " groups";
  }
}

}  // namespace
}  // namespace rotor::coordinator
