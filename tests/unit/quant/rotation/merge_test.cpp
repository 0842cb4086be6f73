#include "quant/rotation/merge.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

/// Entry (i, j) of the block rotation by its definition.
double rotation(int64_t i, int64_t j, int64_t block) {
  if (block == 0 || i / block != j / block) {
    return block == 0 && i == j ? 1.0 : 0.0;
  }
  const double sign =
      std::popcount(static_cast<uint64_t>((i % block) & (j % block))) % 2 == 0 ? 1.0 : -1.0;
  return sign / std::sqrt(static_cast<double>(block));
}

std::vector<double> random_values(int64_t count) {
  std::mt19937 generator(11);
  std::normal_distribution<double> normal;
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) {
    value = normal(generator);
  }
  return values;
}

TEST(Merge, IsTheProductOfItsDefinition) {
  constexpr int64_t kRows = 16;
  constexpr int64_t kCols = 24;
  const std::vector<double> w = random_values(kRows * kCols);
  const std::vector<double> norm = random_values(kCols);
  SerialParallel serial;
  for (const WeightMerge& merge : {WeightMerge{}, WeightMerge{norm, 0, 0}, WeightMerge{{}, 8, 0},
                                   WeightMerge{{}, 0, 4}, WeightMerge{norm, 4, 16}}) {
    std::vector<double> merged = w;
    ASSERT_OK(merge_rows(merge, kRows, kCols, merged.data(), serial));
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kCols; ++c) {
        double sum = 0.0;
        for (int64_t i = 0; i < kRows; ++i) {
          for (int64_t j = 0; j < kCols; ++j) {
            const double scale = merge.column_scale.empty() ? 1.0 : norm[static_cast<size_t>(j)];
            sum += rotation(r, i, merge.row_block) * w[static_cast<size_t>(i * kCols + j)] * scale *
                   rotation(j, c, merge.column_block);
          }
        }
        ASSERT_NEAR(merged[static_cast<size_t>(r * kCols + c)], sum, 1e-13) << r << ", " << c;
      }
    }
  }
}

TEST(Merge, ARunOfRowsIsThatOfTheWhole) {
  const WeightMerge merge{{}, 8, 4};
  std::vector<double> whole = random_values(16 * 24);
  std::vector<double> part(whole.begin() + 4 * 24, whole.begin() + 12 * 24);
  SerialParallel serial;
  ASSERT_OK(merge_rows(merge, 16, 24, whole.data(), serial));
  ASSERT_OK(merge_rows(merge, 8, 24, part.data(), serial));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 4 * 24));
}

TEST(Merge, RefusesWhatDoesNotFit) {
  std::vector<double> w(16 * 24);
  const std::vector<double> norm(23);
  SerialParallel serial;
  EXPECT_FAILS(merge_rows({{}, 16, 0}, 16, 24, w.data(), serial), Code::kInvalidArgument,
               "BAD_ROTATION", "width of 24");
  EXPECT_FAILS(merge_rows({{}, 0, 32}, 16, 24, w.data(), serial), Code::kInvalidArgument,
               "BAD_ROTATION", "width of 16");
  EXPECT_FAILS(merge_rows({norm, 0, 0}, 16, 24, w.data(), serial), Code::kInvalidArgument,
               "BAD_TENSOR_SHAPE", "norm of 23");
}

}  // namespace
}  // namespace rotor
