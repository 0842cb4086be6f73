#include "kernels/supported.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace rotor::kernels {
namespace {

TEST(Supported, TakesEveryFormatAsMakeSchemeMakesIt) {
  for (const FormatSupport& support : kFormats) {
    const Result<QuantScheme> scheme = make_scheme(support.format, 0, DType::kBf16);
    ASSERT_OK(scheme);
    EXPECT_OK(check_groups(support.format, scheme->group_size, 8192));
  }
}

TEST(Supported, RefusesSizesThatOneLaunchCannotDo) {
  EXPECT_FAILS(element_count(int64_t{1} << 40, 1024), Code::kInvalidArgument, "BAD_SHAPE", "2^43");
  EXPECT_FAILS(element_count(1, -16), Code::kInvalidArgument, "BAD_SHAPE", "[1, -16]");
  EXPECT_EQ(*element_count(0, 128), 0);
  EXPECT_EQ(*element_count(3, 128), 384);
}

TEST(Supported, RefusesSizesThatAreNoPowerOfTwo) {
  EXPECT_FAILS(check_rotation(48, 96), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "powers of two from 16 to 256");
  EXPECT_FAILS(check_groups(Format::kInt4, -16, 64), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "groups of -16");
}

}  // namespace
}  // namespace rotor::kernels
