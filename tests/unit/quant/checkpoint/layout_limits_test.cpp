#include "quant/checkpoint/layout_limits.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

constexpr Activations kA16 = Activations::kA16;
constexpr Activations kA4 = Activations::kA4;

void expect_refused(Layout layout, Format format, Activations activations, const char* words) {
  EXPECT_FAILS(find_limits(layout, format, activations), Code::kInvalidArgument,
               "UNSUPPORTED_COMBINATION", words);
}

TEST(LayoutLimits, FormatsAndActivations) {
  for (const Format format : {Format::kNvfp4, Format::kMxfp4}) {
    EXPECT_OK(find_limits(Layout::kCompressedTensors, format, kA16));
    EXPECT_OK(find_limits(Layout::kCompressedTensors, format, kA4));
    EXPECT_OK(find_limits(Layout::kFpQuant, format, kA4));
    expect_refused(Layout::kFpQuant, format, kA16, "add --activations a4, or choose --layout");
  }
  EXPECT_OK(find_limits(Layout::kCompressedTensors, Format::kInt4, kA16));
  expect_refused(Layout::kCompressedTensors, Format::kInt4, kA4, "add --activations a16");
  EXPECT_OK(find_limits(Layout::kModelOpt, Format::kNvfp4, kA16));
  EXPECT_OK(find_limits(Layout::kModelOpt, Format::kNvfp4, kA4));
  expect_refused(Layout::kModelOpt, Format::kMxfp4, kA4, "--layout compressed-tensors or fp-quant");
  expect_refused(Layout::kModelOpt, Format::kInt4, kA16, "holds nvfp4, not int4");
  expect_refused(Layout::kFpQuant, Format::kInt4, kA4, "holds nvfp4, mxfp4, not int4");
}

TEST(LayoutLimits, Rotations) {
  const auto takes = [](Layout layout, Format format, int block) {
    return check_rotation(**find_limits(layout, format, kA4), block).ok();
  };
  for (const int block : {0, 2, 16, 128, 256, 4096}) {
    EXPECT_TRUE(takes(Layout::kCompressedTensors, Format::kNvfp4, block)) << block;
    EXPECT_EQ(takes(Layout::kFpQuant, Format::kNvfp4, block), block == 16 || block == 128) << block;
    EXPECT_EQ(takes(Layout::kFpQuant, Format::kMxfp4, block), block == 128) << block;
    EXPECT_EQ(takes(Layout::kModelOpt, Format::kNvfp4, block), block == 0) << block;
  }
  EXPECT_FALSE(takes(Layout::kFpQuant, Format::kNvfp4, 48));
  EXPECT_FALSE(takes(Layout::kFpQuant, Format::kNvfp4, -16));
  EXPECT_FAILS(check_rotation(**find_limits(Layout::kModelOpt, Format::kNvfp4, kA16), 16),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "add --rotation none");
  EXPECT_FAILS(check_rotation(**find_limits(Layout::kFpQuant, Format::kMxfp4, kA4), 0),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "32 to 128, not none");
}

}  // namespace
}  // namespace rotor
