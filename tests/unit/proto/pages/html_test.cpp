#include "proto/pages/html.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(Html, EscapesWhatWouldBeMarkup) {
  EXPECT_EQ(html_escaped("<a b=\"c\" d='e'>&\x1b[2J"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\\x1b[2J");
  EXPECT_EQ(html_cell("<"), "<td>&lt;</td>");
  EXPECT_NE(html_page("<b>", "", "").find("<title>&lt;b&gt;</title>"), std::string::npos);
}

TEST(Html, ColoursErrorsByTheirOrder) {
  EXPECT_EQ(error_colour(1e-5), error_colour(1e-4));
  EXPECT_EQ(error_colour(1e-4), "hsl(130,70%,45%)");
  EXPECT_EQ(error_colour(0.5), "hsl(0,70%,45%)");
  EXPECT_EQ(error_colour(0.0), error_colour(1e-5));
}

}  // namespace
}  // namespace rotor
