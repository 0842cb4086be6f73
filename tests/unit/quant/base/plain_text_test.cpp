#include "quant/base/plain_text.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(PlainText, ControlsAreEscapedAndAllElseStays) {
  EXPECT_EQ(without_controls("h\x1b[2Jost\r\n\xc2\x9b\x7f"),
            "h\\x1b[2Jost\\x0d\\x0a\\xc2\\x9b\\x7f");
  EXPECT_EQ(without_controls("Modèle – 模型\n\t", "\n"), "Modèle – 模型\n\\x09");
  EXPECT_EQ(without_controls(std::string("\0a", 2)), "\\x00a");
  EXPECT_TRUE(is_plain_text("Modèle – 模型"));
  EXPECT_FALSE(is_plain_text("line\nline"));
  EXPECT_FALSE(is_plain_text("\xc2\x9b"));
}

}  // namespace
}  // namespace rotor
