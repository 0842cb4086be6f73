#include "model/calibration/window_cutter.h"

#include <gtest/gtest.h>

#include <limits>

namespace rotor {
namespace {

using Ids = std::vector<int32_t>;

TEST(WindowCutter, CutsARunAndDropsTheRest) {
  WindowCutter cutter(3, 100);
  cutter.append(Ids{1, 2});
  cutter.append(Ids{3, 4, 5, 6, 7});
  EXPECT_EQ(cutter.windows(), 2);
  cutter.end_run();
  cutter.append(Ids{8, 9, 10});
  EXPECT_EQ(cutter.seen_ids(), 10);
  EXPECT_EQ(cutter.take().ids, (Ids{1, 2, 3, 4, 5, 6, 8, 9, 10}));
}

TEST(WindowCutter, StopsAtItsLimit) {
  WindowCutter cutter(2, 2);
  EXPECT_EQ(cutter.missing_ids(), 4);
  cutter.append(Ids{1, 2, 3});
  EXPECT_EQ(cutter.missing_ids(), 1);
  EXPECT_FALSE(cutter.full());
  cutter.append(Ids{4, 5, 6});
  EXPECT_TRUE(cutter.full());
  EXPECT_EQ(cutter.missing_ids(), 0);
  cutter.add_document(Ids{7, 8});
  EXPECT_EQ(cutter.take().ids, (Ids{1, 2, 3, 4}));
}

TEST(WindowCutter, TakesOneWindowOfADocument) {
  WindowCutter cutter(2, 100);
  cutter.add_document(Ids{1, 2, 3, 4, 5});
  cutter.add_document(Ids{6});
  cutter.add_document(Ids{7, 8});
  EXPECT_EQ(cutter.short_documents(), 1);
  EXPECT_EQ(cutter.take().ids, (Ids{1, 2, 7, 8}));
}

TEST(WindowCutter, HasRoomForAnyNumberOfWindows) {
  const WindowCutter cutter(1 << 20, std::numeric_limits<int64_t>::max());
  EXPECT_FALSE(cutter.full());
  EXPECT_GT(cutter.missing_ids(), int64_t{1} << 60);
}

}  // namespace
}  // namespace rotor
