#include "kernels/equilibrate.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

using EquilibrateTest = CudaTest;

TEST_F(EquilibrateTest, BringsTheDiagonalAroundOneByPowersOfTwo) {
  for (const int64_t n : {1, 31, 100}) {
    std::vector<float> a = random_values(n * n);
    for (int64_t i = 0; i < n; ++i) {
      a[static_cast<size_t>(i * (n + 1))] = std::ldexp(
          std::abs(a[static_cast<size_t>(i * (n + 1))]) + 0.5F, static_cast<int>(i % 61) - 30);
    }
    const DeviceBuffer device = upload_guarded(DType::kF32, a);
    const DeviceBuffer scales = poisoned(DType::kF32, n);
    ASSERT_OK(equilibrate(device.as<float>(), n, scales.as<float>(), stream()));
    const std::vector<float> s = download(DType::kF32, n, scales);
    std::vector<float> expected = a;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        expected[static_cast<size_t>(i * n + j)] /=
            s[static_cast<size_t>(i)] * s[static_cast<size_t>(j)];
      }
      int exponent = 0;
      ASSERT_EQ(std::frexp(s[static_cast<size_t>(i)], &exponent), 0.5F) << "no power of two";
      const float diagonal = expected[static_cast<size_t>(i * (n + 1))];
      ASSERT_GE(diagonal, 0.5F);
      ASSERT_LT(diagonal, 2.0F);
    }
    expect_values(expected, n, DType::kF32, device);

    ASSERT_OK(scale_lower_rows(device.as<float>(), n, scales.as<float>(), stream()));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        expected[static_cast<size_t>(i * n + j)] *= s[static_cast<size_t>(i)];
      }
    }
    expect_values(expected, n, DType::kF32, device);
  }
}

TEST_F(EquilibrateTest, LeavesADiagonalAloneThatHasNoRoot) {
  std::vector<float> a(16, 1.0F);
  a[0] = -4.0F;
  a[5] = 0.0F;
  a[10] = std::numeric_limits<float>::infinity();
  a[15] = std::numeric_limits<float>::quiet_NaN();
  const DeviceBuffer device = upload_guarded(DType::kF32, a);
  const DeviceBuffer scales = poisoned(DType::kF32, 4);
  ASSERT_OK(equilibrate(device.as<float>(), 4, scales.as<float>(), stream()));
  expect_values(std::vector<float>(4, 1.0F), 4, DType::kF32, scales);
  expect_values(a, 4, DType::kF32, device);
}

}  // namespace
}  // namespace rotor::kernels
