#include "quant/base/text.h"

#include <gtest/gtest.h>

namespace rotor {
namespace {

TEST(Text, PrintableEscapesAndCuts) {
  EXPECT_EQ(printable("model.layers.0"), "'model.layers.0'");
  EXPECT_EQ(printable("a\nb\x1b\xff"), "'a\\x0ab\\x1b\\xff'");
  EXPECT_EQ(printable(std::string(1000, 'x')), "'" + std::string(120, 'x') + "...'");
}

}  // namespace
}  // namespace rotor
