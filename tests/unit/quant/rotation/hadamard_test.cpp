#include "quant/rotation/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "quant/format/bf16.h"

namespace rotor {
namespace {

/// Entry of the Sylvester matrix by its definition: (-1)^(number of common one bits).
double sylvester(int64_t i, int64_t j) {
  return std::popcount(static_cast<uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0;
}

std::vector<double> rotated_row(const float* x, int64_t cols, int64_t block) {
  std::vector<double> out(static_cast<size_t>(cols));
  for (int64_t c = 0; c < cols; ++c) {
    const int64_t begin = c / block * block;
    double sum = 0.0;
    for (int64_t k = 0; k < block; ++k) {
      sum += static_cast<double>(x[begin + k]) * sylvester(k, c - begin);
    }
    out[static_cast<size_t>(c)] = sum / std::sqrt(static_cast<double>(block));
  }
  return out;
}

std::vector<float> random_values(int64_t count) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(count));
  for (float& value : x) {
    value = normal(generator);
  }
  return x;
}

class HadamardBlocks : public testing::TestWithParam<int64_t> {};

TEST_P(HadamardBlocks, RowsMatchTheDefinitionAndComeBack) {
  const int64_t block = GetParam();
  const int64_t cols = 3 * block;
  const std::vector<float> x = random_values(2 * cols);
  std::vector<float> y(x.size());
  SerialParallel serial;
  ASSERT_TRUE(rotate_rows(x.data(), DType::kF32, 2, cols, block, y.data(), serial).ok());
  for (int64_t r = 0; r < 2; ++r) {
    const std::vector<double> expected = rotated_row(x.data() + r * cols, cols, block);
    for (int64_t c = 0; c < cols; ++c) {
      ASSERT_NEAR(y[static_cast<size_t>(r * cols + c)], expected[static_cast<size_t>(c)], 3e-6);
    }
  }
  ASSERT_TRUE(rotate_rows(y.data(), DType::kF32, 2, cols, block, y.data(), serial).ok());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(y[i], x[i], 3e-6);
  }
}

TEST_P(HadamardBlocks, HessianIsTheGramMatrixOfRotatedRows) {
  const int64_t block = GetParam();
  const int64_t n = 2 * block;
  const int64_t tokens = 9;
  const std::vector<float> x = random_values(tokens * n);
  std::vector<float> hessian(static_cast<size_t>(n * n));
  std::vector<float> expected(hessian.size());
  std::vector<float> rotated(x.size());
  SerialParallel serial;
  ASSERT_TRUE(rotate_rows(x.data(), DType::kF32, tokens, n, block, rotated.data(), serial).ok());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0.0;
      double rotated_sum = 0.0;
      for (int64_t t = 0; t < tokens; ++t) {
        sum += static_cast<double>(x[static_cast<size_t>(t * n + i)]) *
               static_cast<double>(x[static_cast<size_t>(t * n + j)]);
        rotated_sum += static_cast<double>(rotated[static_cast<size_t>(t * n + i)]) *
                       static_cast<double>(rotated[static_cast<size_t>(t * n + j)]);
      }
      hessian[static_cast<size_t>(i * n + j)] = static_cast<float>(sum);
      expected[static_cast<size_t>(i * n + j)] = static_cast<float>(rotated_sum);
    }
  }
  // What is above the diagonal must not matter, and the result must be symmetric to the bit.
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      hessian[static_cast<size_t>(i * n + j)] = 1e30F;
    }
  }
  ASSERT_TRUE(rotate_hessian(hessian.data(), n, block, hessian.data(), serial).ok());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      ASSERT_NEAR(hessian[static_cast<size_t>(i * n + j)], expected[static_cast<size_t>(i * n + j)],
                  5e-5);
      ASSERT_EQ(hessian[static_cast<size_t>(i * n + j)], hessian[static_cast<size_t>(j * n + i)]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllBlocks, HadamardBlocks, testing::Values(2, 4, 8, 16, 32, 64, 128, 256));

TEST(Hadamard, ReadsHalfPrecisionWeights) {
  const std::vector<float> x = random_values(64);
  std::vector<uint16_t> bf16;
  std::vector<uint16_t> f16;
  std::vector<float> widened;
  for (const float value : x) {
    bf16.push_back(f32_to_bf16(value));
    widened.push_back(bf16_to_f32(bf16.back()));
    f16.push_back(f32_to_f16(widened.back()));
  }
  std::vector<float> expected(64);
  std::vector<float> out(64);
  SerialParallel serial;
  ASSERT_TRUE(rotate_rows(widened.data(), DType::kF32, 2, 32, 16, expected.data(), serial).ok());
  ASSERT_TRUE(rotate_rows(bf16.data(), DType::kBf16, 2, 32, 16, out.data(), serial).ok());
  EXPECT_EQ(out, expected);
  ASSERT_TRUE(rotate_rows(f16.data(), DType::kF16, 2, 32, 16, out.data(), serial).ok());
  EXPECT_EQ(out, expected);
}

TEST(Hadamard, RefusesBlocksAndDtypesItCannotDo) {
  std::vector<float> x(96);
  SerialParallel serial;
  for (const int64_t block : {0, 1, 3, 24, 64, 512, -16}) {
    EXPECT_EQ(rotate_rows(x.data(), DType::kF32, 1, 96, block, x.data(), serial).reason(),
              "BAD_ROTATION")
        << block;
  }
  EXPECT_EQ(rotate_rows(x.data(), DType::kI32, 1, 96, 32, x.data(), serial).reason(),
            "BAD_WEIGHT_DTYPE");
  EXPECT_EQ(rotate_hessian(x.data(), 9, 2, x.data(), serial).reason(), "BAD_ROTATION");
}

}  // namespace
}  // namespace rotor
