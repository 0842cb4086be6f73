#include "kernels/cholesky.h"

#include <gtest/gtest.h>

#include "kernels/gram.h"
#include "kernels/symmetric.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class CholeskyTest : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    Result<Gemm> gemm = Gemm::create();
    ASSERT_OK(gemm);
    gemm_.emplace(std::move(gemm).value());
    Result<Cholesky> cholesky = Cholesky::create();
    ASSERT_OK(cholesky);
    cholesky_.emplace(std::move(cholesky).value());
  }

  std::optional<Gemm> gemm_;
  std::optional<Cholesky> cholesky_;
};

/// A random positive definite matrix whose diagonal spans four decades, made on the device.
TEST_F(CholeskyTest, FactorsMultiplyToTheMatrix) {
  for (const int64_t n : {int64_t{16}, int64_t{1040}, int64_t{12288 + 400}}) {
    const int64_t tokens = 256;
    std::vector<float> x = random_values(tokens * n);
    for (int64_t i = 0; i < tokens * n; ++i) {
      x[static_cast<size_t>(i)] *=
          std::pow(10.0F, -2.0F * static_cast<float>(i % n) / static_cast<float>(n));
    }
    const DeviceBuffer device_x = upload_as(DType::kBf16, x);
    const DeviceBuffer a = poisoned(DType::kF32, n * n);
    ASSERT_EQ(cudaMemsetAsync(a.data(), 0, static_cast<size_t>(n * n) * sizeof(float), stream()),
              cudaSuccess);
    ASSERT_OK(accumulate_gram(*gemm_, device_x.data(), tokens, n, a.as<float>(), stream()));
    std::vector<float> before(static_cast<size_t>(n * n));
    // Damping makes it definite, as in a job.
    ASSERT_OK(a.copy_to_host(before.data(), n * n * int64_t{sizeof(float)}, stream()));
    synchronize();
    for (int64_t i = 0; i < n; ++i) {
      before[static_cast<size_t>(i * (n + 1))] += 0.5F;
    }
    const DeviceBuffer damped = upload(before);
    const Result<bool> definite = cholesky_->factorize(*gemm_, damped.as<float>(), n, stream());
    ASSERT_OK(definite);
    ASSERT_TRUE(*definite);
    std::vector<float> lower(before.size());
    ASSERT_OK(damped.copy_to_host(lower.data(), damped.bytes(), stream()));
    synchronize();
    const int64_t step = n > 2000 ? 431 : 37;
    for (int64_t i = 0; i < n; i += step) {
      for (int64_t j = 0; j <= i; j += step) {
        double sum = 0.0;
        for (int64_t k = 0; k <= j; ++k) {
          sum += double{lower[static_cast<size_t>(i * n + k)]} *
                 double{lower[static_cast<size_t>(j * n + k)]};
        }
        const double size = std::sqrt(double{before[static_cast<size_t>(i * (n + 1))]} *
                                      double{before[static_cast<size_t>(j * (n + 1))]});
        ASSERT_NEAR(sum, before[static_cast<size_t>(i * n + j)], 3e-5 * size)
            << n << ": " << i << ", " << j;
      }
    }
  }
}

TEST_F(CholeskyTest, TellsAMatrixThatIsNotDefinite) {
  for (const int64_t n : {int64_t{64}, int64_t{12288 + 16}}) {
    std::vector<float> a(static_cast<size_t>(n * n), 0.0F);
    for (int64_t i = 0; i < n; ++i) {
      a[static_cast<size_t>(i * (n + 1))] = i == n - 20 ? -1.0F : 1.0F;
    }
    const DeviceBuffer device = upload(a);
    const Result<bool> definite = cholesky_->factorize(*gemm_, device.as<float>(), n, stream());
    ASSERT_OK(definite);
    EXPECT_FALSE(*definite);
  }
}

}  // namespace
}  // namespace rotor::kernels
