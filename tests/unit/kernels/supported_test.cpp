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

TEST(Supported, TakesF16ForWeightsOnly) {
  EXPECT_OK(check_weight_dtype("table", DType::kF16));
  EXPECT_FAILS(check_weight_dtype("table", DType::kF64), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "table of F64: the CUDA kernels take F32, BF16, F16");
  EXPECT_FAILS(check_value_dtype("x", DType::kF16), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "x of F16");
}

TEST(Supported, RefusesPointersBelowTheAlignmentAskedFor) {
  alignas(16) float x[4] = {};
  EXPECT_OK(check_pointer("x", x));
  EXPECT_OK(check_pointer("x", x + 1, 4));
  EXPECT_FAILS(check_pointer("x", x + 1), Code::kInvalidArgument, "BAD_POINTER", "to 16 bytes");
  EXPECT_FAILS(check_pointer("x", nullptr, 4), Code::kInvalidArgument, "BAD_POINTER", "null");
}

}  // namespace
}  // namespace rotor::kernels
