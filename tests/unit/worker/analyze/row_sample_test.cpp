#include "worker/analyze/row_sample.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "tests/support/status_matchers.h"

namespace rotor::worker {
namespace {

/// Rows [first, first + count) of a matrix whose row r is all r.
Tensor rows_of(Backend& backend, int64_t first, int64_t count, int64_t cols) {
  std::vector<float> values(static_cast<size_t>(count * cols));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(first + static_cast<int64_t>(i) / cols);
  }
  const Tensor rows = backend.allocate(DType::kF32, count, cols).value();
  EXPECT_OK(backend.upload(values.data(), rows.bytes(), rows));
  return rows;
}

std::vector<float> first_of_rows(const RowSample& sample) {
  std::vector<float> first;
  for (int64_t r = 0; r < sample.rows(); ++r) {
    first.push_back(sample.values()[static_cast<size_t>(r * sample.cols())]);
  }
  return first;
}

TEST(RowSample, TakesOneRowOfEachRunAcrossPieces) {
  const auto backend = make_cpu_backend(1);
  // 128 rows of 4, room for 16 of them: one of each eight.
  RowSample sample(128, 4, 64);
  RowSample whole(128, 4, 64);
  for (const auto& [first, count] : {std::pair(0, 33), std::pair(33, 1), std::pair(34, 94)}) {
    ASSERT_OK(sample.add(*backend, rows_of(*backend, first, count, 4)));
  }
  ASSERT_OK(whole.add(*backend, rows_of(*backend, 0, 128, 4)));
  EXPECT_EQ(sample.values(), whole.values());
  const std::vector<float> taken = first_of_rows(sample);
  ASSERT_EQ(taken.size(), 16U);
  std::set<int> places;
  for (size_t run = 0; run < taken.size(); ++run) {
    const int row = static_cast<int>(taken[run]);
    EXPECT_EQ(row / 8, static_cast<int>(run));
    places.insert(row % 8);
  }
  EXPECT_GE(places.size(), 6U) << "rows at one distance may be alike";
}

TEST(RowSample, TakesAllWhereTheyFit) {
  const auto backend = make_cpu_backend(1);
  RowSample sample(7, 8, 1000);
  ASSERT_OK(sample.add(*backend, rows_of(*backend, 0, 7, 8)));
  EXPECT_EQ(sample.rows(), 7);
  EXPECT_EQ(sample.values().size(), 56U);
}

TEST(RowSample, TakesSomeRowsHoweverWide) {
  const auto backend = make_cpu_backend(1);
  RowSample sample(64, 32, 1);
  ASSERT_OK(sample.add(*backend, rows_of(*backend, 0, 64, 32)));
  EXPECT_EQ(sample.rows(), 16);
}

}  // namespace
}  // namespace rotor::worker
