#include "model/calibration/token_windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace rotor {
namespace {

TEST(TokenWindows, HandsOutWindows) {
  const TokenWindows windows{3, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(windows.sequences(), 2);
  const auto window = windows.window(1);
  EXPECT_EQ(std::vector<int32_t>(window.begin(), window.end()), (std::vector<int32_t>{4, 5, 6}));
  EXPECT_EQ(TokenWindows().sequences(), 0);
}

TEST(TokenWindows, DigestIsFixed) {
  // sha256 of 0200000000000000 01000000 02000000, computed with another program.
  EXPECT_EQ((TokenWindows{2, {1, 2}}.digest()),
            "1066d714b87c7e4579867e8ea219fa264cd2b30c7b0bc897fd071f16354d4865");
  EXPECT_NE((TokenWindows{2, {1, 2, 3, 4}}.digest()), (TokenWindows{4, {1, 2, 3, 4}}.digest()));
}

TEST(ChooseWindows, TakesTheFirstForSeedZero) {
  EXPECT_EQ(choose_windows(10, 3, 0), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_TRUE(choose_windows(0, 0, 5).empty());
}

TEST(ChooseWindows, IsFixedForASeed) {
  // Computed with the Python of the header's words: the choice must never change.
  EXPECT_EQ(choose_windows(10, 10, 1), (std::vector<int64_t>{5, 8, 1, 3, 7, 2, 4, 6, 0, 9}));
  EXPECT_EQ(choose_windows(1000, 5, 42), (std::vector<int64_t>{413, 182, 552, 26, 338}));
}

TEST(ChooseWindows, TakesEachWindowOnce) {
  std::vector<int64_t> chosen = choose_windows(500, 500, 7);
  std::sort(chosen.begin(), chosen.end());
  std::vector<int64_t> all(500);
  std::iota(all.begin(), all.end(), int64_t{0});
  EXPECT_EQ(chosen, all);
}

}  // namespace
}  // namespace rotor
