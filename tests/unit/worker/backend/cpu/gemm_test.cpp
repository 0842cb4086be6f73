#include "worker/backend/cpu/gemm.h"

#include <gtest/gtest.h>

#include "tests/support/same_rows.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/backend/cpu/operation_test.h"

namespace rotor::worker {
namespace {

using testing::expect_close;
using testing::f32_tensor;
using testing::make_tensor;
using testing::poisoned;
using testing::random_values;
using testing::same_for_any_threads;
using testing::values_of;

struct LinearCase {
  int64_t tokens;
  int64_t features;
  int64_t depth;
  DType dtype;
  bool bias;
};

class LinearTest : public ::testing::TestWithParam<LinearCase> {};

TEST_P(LinearTest, MatchesTheProductInF64) {
  const LinearCase& c = GetParam();
  const std::vector<float> x = random_values(c.tokens * c.depth, 1);
  std::vector<float> weight = random_values(c.features * c.depth, 2);
  std::vector<float> bias = random_values(c.features, 3);
  const std::vector<float> actual = same_for_any_threads([&](Backend& backend) {
    const Tensor weights = make_tensor(backend, c.dtype, c.features, c.depth, weight);
    const Tensor offsets = c.bias ? make_tensor(backend, c.dtype, 1, c.features, bias) : Tensor();
    const Tensor out = poisoned(backend, c.tokens, c.features);
    const Status status =
        backend.linear(f32_tensor(backend, c.tokens, c.depth, x), weights, offsets, out);
    EXPECT_OK(status);
    return values_of(out);
  });
  std::vector<double> expected;
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t n = 0; n < c.features; ++n) {
      double sum = c.bias ? static_cast<double>(bias[static_cast<size_t>(n)]) : 0.0;
      for (int64_t k = 0; k < c.depth; ++k) {
        sum += static_cast<double>(x[static_cast<size_t>(t * c.depth + k)]) *
               static_cast<double>(weight[static_cast<size_t>(n * c.depth + k)]);
      }
      expected.push_back(sum);
    }
  }
  expect_close(actual, expected, 2e-5 * std::sqrt(static_cast<double>(c.depth)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearTest,
                         ::testing::Values(LinearCase{1, 1, 1, DType::kF32, false},
                                           LinearCase{3, 257, 65, DType::kBf16, true},
                                           LinearCase{513, 5, 7, DType::kF16, true},
                                           LinearCase{513, 259, 33, DType::kF32, true},
                                           LinearCase{7, 300, 2049, DType::kBf16, false},
                                           LinearCase{2, 3, 4100, DType::kF32, false}));

TEST(LinearTest, TheDtypeOfTheSameWeightDoesNotMatter) {
  const std::vector<float> x = random_values(20 * 2100, 4);
  std::vector<float> weight = random_values(30 * 2100, 5);
  const auto backend = make_cpu_backend(2);
  const Tensor narrow = make_tensor(*backend, DType::kBf16, 30, 2100, weight);
  const Tensor wide = f32_tensor(*backend, 30, 2100, weight);
  const Tensor input = f32_tensor(*backend, 20, 2100, x);
  const Tensor a = poisoned(*backend, 20, 30);
  const Tensor b = poisoned(*backend, 20, 30);
  ASSERT_OK(backend->linear(input, narrow, Tensor(), a));
  ASSERT_OK(backend->linear(input, wide, Tensor(), b));
  EXPECT_EQ(values_of(a), values_of(b));
}

TEST(LinearTest, RefusesOperandsThatDoNotFit) {
  const auto backend = make_cpu_backend(1);
  const Tensor x = poisoned(*backend, 2, 4);
  const Tensor weight = poisoned(*backend, 3, 5);
  EXPECT_EQ(backend->linear(x, weight, Tensor(), poisoned(*backend, 2, 3)).code(), Code::kInternal);
}

class HessianTest : public ::testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(HessianTest, MatchesTheProductInF64) {
  const auto [tokens, width] = GetParam();
  const std::vector<float> first = random_values(tokens * width, 6);
  const std::vector<float> second = random_values(tokens * width, 7);
  const std::vector<float> actual =
      same_for_any_threads([&, tokens = tokens, width = width](Backend& backend) {
        const Tensor lane = poisoned(backend, width, width);
        const Tensor sum = poisoned(backend, width, width);
        EXPECT_OK(backend.hessian_zero(lane));
        EXPECT_OK(backend.hessian_zero(sum));
        EXPECT_OK(backend.hessian_accumulate(f32_tensor(backend, tokens, width, first), sum));
        EXPECT_OK(backend.hessian_accumulate(f32_tensor(backend, tokens, width, second), lane));
        EXPECT_OK(backend.hessian_add(sum, lane));
        EXPECT_OK(backend.hessian_finish(sum, 2 * tokens));
        return values_of(sum);
      });
  std::vector<double> expected(static_cast<size_t>(width * width), 0.0);
  for (const std::vector<float>* x : {&first, &second}) {
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < width; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          expected[static_cast<size_t>(i * width + j)] +=
              static_cast<double>((*x)[static_cast<size_t>(t * width + i)]) *
              static_cast<double>((*x)[static_cast<size_t>(t * width + j)]) /
              static_cast<double>(2 * tokens);
        }
      }
    }
  }
  expect_close(actual, expected, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, HessianTest,
                         ::testing::Values(std::pair<int64_t, int64_t>{1, 1},
                                           std::pair<int64_t, int64_t>{5, 65},
                                           std::pair<int64_t, int64_t>{33, 257},
                                           std::pair<int64_t, int64_t>{17, 520}));

TEST(HessianTest, IsSymmetricToTheBit) {
  const auto backend = make_cpu_backend(2);
  const Tensor hessian = poisoned(*backend, 300, 300);
  ASSERT_OK(backend->hessian_zero(hessian));
  ASSERT_OK(backend->hessian_accumulate(f32_tensor(*backend, 40, 300, random_values(40 * 300, 8)),
                                        hessian));
  ASSERT_OK(backend->hessian_finish(hessian, 40));
  const float* h = hessian.as<float>();
  for (int64_t i = 0; i < 300; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      ASSERT_EQ(h[i * 300 + j], h[j * 300 + i]) << i << ", " << j;
    }
  }
}

TEST(LinearTest, TheBitsOfARowDoNotDependOnHowManyThereAre) {
  const auto backend = make_cpu_backend(2);
  for (const int64_t cols : {32, 256, 2100}) {
    const int64_t rows = 1030;
    const Tensor x = f32_tensor(*backend, rows, cols, random_values(rows * cols, 7));
    std::vector<float> values = random_values(72 * cols, 8);
    const Tensor weight = make_tensor(*backend, DType::kBf16, 72, cols, values);
    const Tensor all = poisoned(*backend, rows, 72);
    ASSERT_OK(backend->linear(x, weight, Tensor(), all));
    for (const int64_t count : {1, 2, 3, 5, 7, 8, 9, 100, 511, 513, 1029}) {
      for (const int64_t first : {int64_t{0}, rows - count}) {
        const Tensor some = poisoned(*backend, count, 72);
        ASSERT_OK(backend->linear(x.row_range(first, count), weight, Tensor(), some));
        EXPECT_TRUE(rotor::testing::same_rows(values_of(some),
                                              values_of(all.row_range(first, count)), cols))
            << count << " rows from " << first << " on, " << cols << " columns";
      }
    }
  }
}

}  // namespace
}  // namespace rotor::worker
