#include "kernels/symmetric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class SymmetricTest : public CudaTest {
 protected:
  std::vector<float> symmetric(int64_t n) {
    std::vector<float> a = random_values(n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        a[static_cast<size_t>(j * n + i)] = a[static_cast<size_t>(i * n + j)];
      }
    }
    return a;
  }

  std::vector<float> downloaded(const DeviceBuffer& buffer, int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    EXPECT_OK(buffer.copy_to_host(values.data(), count * int64_t{sizeof(float)}, stream()));
    synchronize();
    return values;
  }
};

constexpr int64_t kSizes[] = {16, 32, 48, 272, 1040};

TEST_F(SymmetricTest, AddsLowerTriangles) {
  for (const int64_t n : kSizes) {
    const std::vector<float> a = random_values(n * n);
    const std::vector<float> b = random_values(n * n);
    const DeviceBuffer device = upload(a);
    ASSERT_OK(add_lower(device.as<float>(), upload(b).as<float>(), n, stream()));
    const std::vector<float> sum = downloaded(device, n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        const auto at = static_cast<size_t>(i * n + j);
        ASSERT_EQ(sum[at], a[at] + b[at]) << n << ": " << i << ", " << j;
      }
    }
  }
}

TEST_F(SymmetricTest, ScalesAndMirrors) {
  for (const int64_t n : kSizes) {
    const std::vector<float> a = random_values(n * n);
    const DeviceBuffer device = upload(a);
    ASSERT_OK(scale_and_mirror(device.as<float>(), n, 3.0F, stream()));
    const std::vector<float> result = downloaded(device, n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const auto source = static_cast<size_t>(std::max(i, j) * n + std::min(i, j));
        ASSERT_EQ(result[static_cast<size_t>(i * n + j)], a[source] / 3.0F)
            << n << ": " << i << ", " << j;
      }
    }
  }
}

TEST_F(SymmetricTest, AddsToTheDiagonalAlone) {
  for (const int64_t n : kSizes) {
    std::vector<float> a = random_values(n * n);
    const std::vector<float> values = random_values(n);
    const DeviceBuffer device = upload(a);
    ASSERT_OK(add_diagonal(device.as<float>(), n, upload(values).as<float>(), stream()));
    for (int64_t i = 0; i < n; ++i) {
      a[static_cast<size_t>(i * (n + 1))] += values[static_cast<size_t>(i)];
    }
    EXPECT_EQ(downloaded(device, n * n), a) << n;
  }
}

TEST_F(SymmetricTest, GathersWithDampingAndTakesDiagonals) {
  for (const int64_t n : kSizes) {
    const std::vector<float> a = symmetric(n);
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator());
    std::vector<uint8_t> dead(order.size(), 0);
    dead[static_cast<size_t>(order[5])] = 1;
    const DeviceBuffer device_order = upload(order);
    const DeviceBuffer out = poisoned(DType::kF32, n * n);
    ASSERT_OK(gather_lower(upload(a).as<float>(), n, device_order.as<int32_t>(),
                           upload(dead).as<uint8_t>(), {2.0F, 0.5F}, out.as<float>(), stream()));
    const std::vector<float> result = downloaded(out, n * n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const float element = a[static_cast<size_t>(order[static_cast<size_t>(i)] * n +
                                                    order[static_cast<size_t>(j)])];
        const bool cut = i == 5 || j == 5;
        const float expected =
            j > i ? 0.0F : (cut ? (i == j ? 2.0F : 0.0F) : element) + (i == j ? 0.5F : 0.0F);
        ASSERT_EQ(result[static_cast<size_t>(i * n + j)], expected) << n << ": " << i << ", " << j;
      }
    }

    const DeviceBuffer diagonal = poisoned(DType::kF32, n);
    ASSERT_OK(take_diagonal(out.as<float>(), n, diagonal.as<float>(), stream()));
    const DeviceBuffer squares = poisoned(DType::kF32, n);
    ASSERT_OK(square_diagonal(out.as<float>(), n, device_order.as<int32_t>(), squares.as<float>(),
                              stream()));
    const std::vector<float> taken = downloaded(diagonal, n);
    const std::vector<float> squared = downloaded(squares, n);
    for (int64_t i = 0; i < n; ++i) {
      const float value = result[static_cast<size_t>(i * (n + 1))];
      ASSERT_EQ(taken[static_cast<size_t>(i)], value);
      ASSERT_EQ(squared[static_cast<size_t>(order[static_cast<size_t>(i)])], value * value);
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
