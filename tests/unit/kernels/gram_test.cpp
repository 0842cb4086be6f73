#include "kernels/gram.h"

#include <gtest/gtest.h>

#include "tests/unit/kernels/gemm_test.h"

namespace rotor::kernels {
namespace {

class GramTest : public GemmTest {
 protected:
  /// Adds x^T x of fresh inputs twice and compares the lower triangle with sums in F64.
  void check(int64_t tokens, int64_t n) {
    std::vector<float> x = random_values(tokens * n);
    const DeviceBuffer device_x = upload_as(DType::kBf16, x);
    std::vector<float> before = random_values(n * n);
    const DeviceBuffer hessian = upload(before);
    ASSERT_OK(accumulate_gram(*gemm_, device_x.data(), tokens, n, hessian.as<float>(), stream()));
    ASSERT_OK(accumulate_gram(*gemm_, device_x.data(), tokens, n, hessian.as<float>(), stream()));
    std::vector<float> after(before.size());
    ASSERT_OK(hessian.copy_to_host(after.data(), hessian.bytes(), stream()));
    synchronize();
    // Every element where that is cheap, else a sample that meets every block.
    const int64_t step = n > 256 ? 61 : 1;
    for (int64_t i = 0; i < n; i += step) {
      for (int64_t j = 0; j <= i; j += step) {
        double sum = 0.0;
        double size = 0.0;
        for (int64_t t = 0; t < tokens; ++t) {
          const double term =
              double{x[static_cast<size_t>(t * n + i)]} * double{x[static_cast<size_t>(t * n + j)]};
          sum += term;
          size += std::abs(term);
        }
        const auto at = static_cast<size_t>(i * n + j);
        ASSERT_NEAR(after[at], double{before[at]} + 2.0 * sum, 1e-5 * (size + 1.0))
            << "element " << i << ", " << j << " of " << n;
      }
    }
  }
};

TEST_F(GramTest, AddsTheLowerTriangleOfXTransposedTimesX) {
  check(1, 16);
  check(7, 48);
  check(100, 256);
  check(33, 1408);
  check(64, 512 * 3 + 16);
  check(40, 4096 + 512);
}

TEST_F(GramTest, AddsNothingForNoTokens) {
  const std::vector<float> before = random_values(64 * 64);
  const DeviceBuffer hessian = upload(before);
  ASSERT_OK(accumulate_gram(*gemm_, hessian.data(), 0, 64, hessian.as<float>(), stream()));
  std::vector<float> after(before.size());
  ASSERT_OK(hessian.copy_to_host(after.data(), hessian.bytes(), stream()));
  synchronize();
  EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace rotor::kernels
