#include "proto/pages/line_chart.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++found;
  }
  return found;
}

TEST(LineChart, LaysValuesBetweenZeroAndTheLargest) {
  const std::string chart =
      line_chart("Errors <of> weights", {"none", "16"}, {{"nvfp4", "#123456", {0.02, 0.01}}});
  // The plot is 116 high from 24 down, and 268 wide from 56 on.
  EXPECT_NE(chart.find("M56.0 24.0L324.0 82.0"), std::string::npos) << chart;
  EXPECT_NE(chart.find(">2.00 %<"), std::string::npos);
  EXPECT_NE(chart.find(">1.00 %<"), std::string::npos);
  EXPECT_NE(chart.find("Errors &lt;of&gt; weights"), std::string::npos);
  EXPECT_NE(chart.find("<title>nvfp4 1.000 %</title>"), std::string::npos);
  EXPECT_EQ(count(chart, "<svg"), 1);
  EXPECT_EQ(count(chart, "</svg>"), 1);
}

TEST(LineChart, ALineHasGaps) {
  const std::string chart =
      line_chart("t", {"a", "b", "c"}, {{"int4", "red", {0.1, std::nullopt, 0.1}}});
  EXPECT_EQ(count(chart, "<circle"), 2);
  EXPECT_NE(chart.find("M56.0 24.0M324.0 24.0"), std::string::npos) << chart;
}

TEST(LineChart, IsEmptyWithoutValues) {
  EXPECT_EQ(line_chart("t", {"a"}, {}), "");
  EXPECT_EQ(line_chart("t", {"a"}, {{"x", "red", {std::nullopt}}}), "");
}

}  // namespace
}  // namespace rotor
