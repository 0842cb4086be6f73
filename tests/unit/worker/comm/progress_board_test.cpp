#include "worker/comm/progress_board.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace rotor::worker {
namespace {

std::string unique_name() {
  return "rotor-test-" + std::to_string(getpid());
}

TEST(ProgressBoard, TellsWhoIsBehind) {
  auto first = ProgressBoard::create(unique_name(), 0, 4);
  auto second = ProgressBoard::create(unique_name(), 1, 4);
  auto fourth = ProgressBoard::create(unique_name(), 3, 4);  // rank 2 is on another host
  ASSERT_TRUE(first.ok() && second.ok() && fourth.ok());
  (*first)->remove_name();
  (*second)->remove_name();

  EXPECT_TRUE((*first)->behind(0).empty());
  EXPECT_EQ((*first)->behind(1), (std::vector<int>{0, 1, 3}));
  (*first)->enter(1);
  (*second)->enter(1);
  EXPECT_EQ((*fourth)->behind(1), (std::vector<int>{3}));
  (*second)->enter(2);
  EXPECT_EQ((*second)->behind(2), (std::vector<int>{0, 3}));
  EXPECT_TRUE((*second)->behind(0).empty());
}

TEST(ProgressBoard, BeginsAnewUnderANameThatWasRemoved) {
  auto old = ProgressBoard::create(unique_name(), 0, 1);
  ASSERT_TRUE(old.ok());
  (*old)->enter(7);
  (*old)->remove_name();
  auto made = ProgressBoard::create(unique_name(), 0, 1);
  ASSERT_TRUE(made.ok());
  (*made)->remove_name();
  EXPECT_EQ((*made)->behind(7), (std::vector<int>{0}));
}

TEST(ProgressBoard, RefusesAnImpossibleName) {
  EXPECT_FALSE(ProgressBoard::create("no/such/folder", 0, 1).ok());
}

}  // namespace
}  // namespace rotor::worker
