#include "quant/checkpoint/finite_tensor.h"

#include <gtest/gtest.h>

#include <limits>

#include "quant/checkpoint/memory_source.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

constexpr uint16_t kBf16Infinity = 0x7F80;
constexpr uint16_t kF16Nan = 0x7E01;

TEST(FiniteTensor, FindsInfAndNanInEveryFloatOfAModel) {
  const uint16_t bf16[] = {0x7F7F, 0x0000, kBf16Infinity, 0x8000};
  EXPECT_FAILS(check_finite_piece({"a", DType::kBf16, {4}}, 16, bf16, sizeof bf16),
               Code::kInvalidArgument, "NOT_FINITE",
               "tensor a holds Inf or NaN, first in element 10");
  EXPECT_OK(check_finite_piece({"a", DType::kBf16, {4}}, 0, bf16, 4));
  const uint16_t f16[] = {0x7BFF, kF16Nan};
  EXPECT_FAILS(check_finite_piece({"a", DType::kF16, {2}}, 0, f16, sizeof f16),
               Code::kInvalidArgument, "NOT_FINITE", "element 1 of F16 [2]");
  const float f32[] = {std::numeric_limits<float>::max(), -std::numeric_limits<float>::infinity()};
  EXPECT_FAILS(check_finite_piece({"a", DType::kF32, {2}}, 0, f32, sizeof f32),
               Code::kInvalidArgument, "NOT_FINITE", "element 1");
  const uint8_t f8[] = {0x7E, 0xFE, 0x7F};
  EXPECT_FAILS(check_finite_piece({"a", DType::kF8E4M3, {3}}, 0, f8, sizeof f8),
               Code::kInvalidArgument, "NOT_FINITE", "element 2");
  const double f64[] = {0.0, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_FAILS(check_finite_piece({"a", DType::kF64, {2}}, 0, f64, sizeof f64),
               Code::kInvalidArgument, "NOT_FINITE", "element 1");
  EXPECT_OK(check_finite_piece({"a", DType::kU8, {4}}, 0, bf16, 4));
}

}  // namespace
}  // namespace rotor
