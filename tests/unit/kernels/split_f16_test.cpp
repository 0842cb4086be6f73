#include "kernels/split_f16.h"

#include <gtest/gtest.h>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

using SplitF16Test = CudaTest;

TEST_F(SplitF16Test, PartsAddUpToTheNumber) {
  const int64_t rows = 33;
  const int64_t cols = 48;
  const int64_t ld = 50;
  std::vector<float> x = random_values(rows * ld);
  for (int64_t i = 0; i < rows * ld; ++i) {
    x[static_cast<size_t>(i)] *= std::ldexp(1.0F, static_cast<int>(i % 29) - 20);
  }
  const DeviceBuffer device = upload(x);
  const int64_t width = kSplitColumns * cols;
  const DeviceBuffer parts = poisoned(DType::kF16, rows * width);
  ASSERT_OK(split_f16(device.as<float>(), rows, cols, ld, parts.as<uint16_t>(), stream()));
  const std::vector<float> got = download(DType::kF16, rows * width, parts);
  const int64_t left = split_left(parts.as<uint16_t>(), cols) - parts.as<uint16_t>();
  const int64_t right = split_right(parts.as<uint16_t>()) - parts.as<uint16_t>();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      const double value = x[static_cast<size_t>(row * ld + col)];
      const auto part = [&](int64_t side, int64_t index) {
        return double{got[static_cast<size_t>(row * width + side + index * cols + col)]};
      };
      const double high = part(right, 0);
      const double low = part(right, 1);
      ASSERT_NEAR(high + low, value, std::max(std::ldexp(std::abs(value), -22), 0x1p-25));
      // Small parts first: low high', high low', high high'.
      ASSERT_EQ(part(left, 0), low);
      ASSERT_EQ(part(left, 1), high);
      ASSERT_EQ(part(left, 2), high);
      ASSERT_EQ(part(right, 2), high);
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
