#include "kernels/quadratic.h"

#include <gtest/gtest.h>

#include "tests/unit/kernels/gemm_test.h"

namespace rotor::kernels {
namespace {

class QuadraticTest : public GemmTest {
 protected:
  void check(int64_t rows, int64_t n, bool with_b) {
    const std::vector<float> a = random_values(rows * n);
    const std::vector<float> b = random_values(rows * n);
    // A Gram matrix, so that every result is a sum of squares.
    const std::vector<float> x = random_values(n * n);
    std::vector<float> hessian(x.size());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0.0;
        for (int64_t t = 0; t < n; ++t) {
          sum +=
              double{x[static_cast<size_t>(t * n + i)]} * double{x[static_cast<size_t>(t * n + j)]};
        }
        hessian[static_cast<size_t>(i * n + j)] = static_cast<float>(sum);
      }
    }
    const DeviceBuffer device_b = with_b ? upload(b) : DeviceBuffer();
    Result<DeviceBuffer> out = DeviceBuffer::allocate(rows * int64_t{sizeof(double)});
    ASSERT_OK(out);
    ASSERT_OK(out->fill(0xFF, stream()));
    ASSERT_OK(quadratic_rows(*gemm_, upload(a).as<float>(), device_b.as<float>(), rows, n,
                             upload(hessian).as<float>(), out->as<double>(), stream()));
    std::vector<double> result(static_cast<size_t>(rows));
    ASSERT_OK(out->copy_to_host(result.data(), out->bytes(), stream()));
    synchronize();
    for (int64_t r = 0; r < rows; ++r) {
      double expected = 0.0;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const auto difference = [&](int64_t c) {
            const auto at = static_cast<size_t>(r * n + c);
            return double{a[at]} - (with_b ? double{b[at]} : 0.0);
          };
          expected +=
              difference(i) * double{hessian[static_cast<size_t>(i * n + j)]} * difference(j);
        }
      }
      ASSERT_NEAR(result[static_cast<size_t>(r)] / expected, 1.0, 1e-2) << "row " << r;
    }
  }
};

TEST_F(QuadraticTest, MeasuresRows) {
  check(1, 16, false);
  check(1, 16, true);
  check(37, 144, true);
  check(130, 272, false);
}

}  // namespace
}  // namespace rotor::kernels
