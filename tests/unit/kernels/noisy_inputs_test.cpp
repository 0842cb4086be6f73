#include "kernels/noisy_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/unit/kernels/gemm_test.h"

namespace rotor::kernels {
namespace {

class NoisyInputs : public GemmTest {
 protected:
  /// A well-conditioned factor; what lies above its diagonal is never to be read.
  std::vector<float> make_lower(int64_t n) {
    std::vector<float> lower = random_values(n * n, 0.3F / std::sqrt(static_cast<float>(n)));
    for (int64_t i = 0; i < n; ++i) {
      lower[static_cast<size_t>(i * (n + 1))] = 1.0F + 0.5F * static_cast<float>(i % 3);
      for (int64_t j = i + 1; j < n; ++j) {
        lower[static_cast<size_t>(i * n + j)] = std::nanf("");
      }
    }
    return lower;
  }
};

/// (L L^T)^-1 b in F64.
std::vector<double> solved(const std::vector<float>& lower, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) {
      b[i] -= static_cast<double>(lower[i * n + k]) * b[k];
    }
    b[i] /= static_cast<double>(lower[i * (n + 1)]);
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) {
      b[i] -= static_cast<double>(lower[k * n + i]) * b[k];
    }
    b[i] /= static_cast<double>(lower[i * (n + 1)]);
  }
  return b;
}

TEST_F(NoisyInputs, FitIsTheRegressionInF64ForAnyShape) {
  for (const auto& [rows, n] :
       {std::pair<int64_t, int64_t>{1, 16}, {3, 128}, {65, 144}, {129, 272}, {300, 1040}}) {
    const std::vector<float> lower = make_lower(n);
    const std::vector<float> w = random_values(rows * n);
    std::vector<float> noise = random_values(n, 0.1F);
    std::transform(noise.begin(), noise.end(), noise.begin(),
                   [](float value) { return std::abs(value); });
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator());
    std::vector<float> guarded = w;
    const DeviceBuffer device = upload_guarded(DType::kF32, guarded);
    const DeviceBuffer device_lower = upload(lower);
    const DeviceBuffer device_order = upload(order);
    ASSERT_OK(fit_noisy_inputs(*gemm_, device.as<float>(), rows, n, upload(noise).as<float>(),
                               {device_lower.as<float>(), device_order.as<int32_t>()}, stream()));
    const std::vector<float> got = download(DType::kF32, rows * n, device);
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<double> b;
      double size = 0.0;
      for (const int32_t column : order) {
        b.push_back(static_cast<double>(w[static_cast<size_t>(r * n + column)]) *
                    static_cast<double>(noise[static_cast<size_t>(column)]));
        size = std::max(size, std::abs(b.back()));
      }
      const std::vector<double> shift = solved(lower, b);
      for (size_t place = 0; place < order.size(); ++place) {
        const auto at = static_cast<size_t>(r * n + order[place]);
        // Factors are rounded to TF32, by 2^-11 each.
        EXPECT_NEAR(got[at], static_cast<double>(w[at]) - shift[place], 0x1p-8 * size)
            << rows << " x " << n << ", row " << r << " place " << place;
      }
    }
  }
}

TEST_F(NoisyInputs, ARowIsTheSameBitsAmongOthers) {
  constexpr int64_t kN = 272;
  const DeviceBuffer lower = upload(make_lower(kN));
  std::vector<int32_t> order(kN);
  std::iota(order.begin(), order.end(), 0);
  const DeviceBuffer device_order = upload(order);
  const DeviceBuffer noise = upload(std::vector<float>(kN, 0.1F));
  const std::vector<float> w = random_values(400 * kN);
  const auto fitted = [&](int64_t begin, int64_t rows) {
    std::vector<float> part(w.begin() + begin * kN, w.begin() + (begin + rows) * kN);
    const DeviceBuffer device = upload_guarded(DType::kF32, part);
    EXPECT_OK(fit_noisy_inputs(*gemm_, device.as<float>(), rows, kN, noise.as<float>(),
                               {lower.as<float>(), device_order.as<int32_t>()}, stream()));
    return download(DType::kF32, rows * kN, device);
  };
  const std::vector<float> whole = fitted(0, 400);
  const std::vector<float> part = fitted(128, 100);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 128 * kN));
}

TEST_F(NoisyInputs, SquaredDifferencesAddUpByColumn) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const auto& [rows, cols] :
         {std::pair<int64_t, int64_t>{1, 1}, {7, 33}, {130, 16}, {1000, 272}}) {
      std::vector<float> x = random_values(rows * cols);
      std::vector<float> y = random_values(rows * cols);
      const DeviceBuffer device_x = upload_as(dtype, x);
      const DeviceBuffer device_y = upload_as(dtype, y);
      std::vector<float> before(static_cast<size_t>(cols), 5.0F);
      const DeviceBuffer sums = upload_guarded(DType::kF32, before);
      ASSERT_OK(add_squared_differences(device_x.data(), device_y.data(), dtype, rows, cols,
                                        sums.as<float>(), stream()));
      const std::vector<float> got = download(DType::kF32, cols, sums);
      for (int64_t c = 0; c < cols; ++c) {
        double want = 5.0;
        for (int64_t r = 0; r < rows; ++r) {
          const auto at = static_cast<size_t>(r * cols + c);
          const double difference = static_cast<double>(y[at]) - static_cast<double>(x[at]);
          want += difference * difference;
        }
        EXPECT_NEAR(got[static_cast<size_t>(c)], want, 1e-5 * want) << rows << " x " << cols;
      }
    }
  }
}

}  // namespace
}  // namespace rotor::kernels
