#include "kernels/rotate_symmetric.h"

#include <gtest/gtest.h>

#include "quant/rotation/hadamard.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

using RotateSymmetricTest = CudaTest;

TEST_F(RotateSymmetricTest, IsTheCpusRotationAndSymmetric) {
  const std::unique_ptr<Parallel> pool = make_thread_pool(4);
  for (const int64_t n : {16, 32, 48, 128, 272, 512, 1280}) {
    for (int64_t block = 16; block <= 256 && n % block == 0; block *= 2) {
      std::vector<float> a = random_values(n * n);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < i; ++j) {
          a[static_cast<size_t>(j * n + i)] = a[static_cast<size_t>(i * n + j)];
        }
      }
      std::vector<float> expected(a.size());
      ASSERT_OK(rotor::rotate_hessian(a.data(), n, block, expected.data(), *pool));
      const DeviceBuffer out = poisoned(DType::kF32, n * n);
      ASSERT_OK(rotate_symmetric(upload(a).as<float>(), n, block, out.as<float>(), stream()));
      const std::vector<float> result = download(DType::kF32, n * n, out);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const auto at = static_cast<size_t>(i * n + j);
          ASSERT_NEAR(result[at], expected[at], 2e-5F)
              << n << " by " << block << ": " << i << ", " << j;
          ASSERT_EQ(result[at], result[static_cast<size_t>(j * n + i)]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
