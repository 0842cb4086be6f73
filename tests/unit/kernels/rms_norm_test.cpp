#include "kernels/rms_norm.h"

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class RmsNorm : public CudaTest {
 protected:
  /// out against F64. In F32 the sum of `cols` squares, none negative, is off by at most the depth
  /// of its tree, below 2^7, times 2^-24; the root halves that, and five more
  /// operations round: 2^-17 covers it. BF16 adds its own 2^-8.
  void check(int64_t rows, int64_t cols, DType dtype, DType weight_dtype, bool in_place = false) {
    SCOPED_TRACE(::testing::Message() << rows << " x " << cols << ", " << dtype_name(dtype)
                                      << ", weight " << dtype_name(weight_dtype));
    constexpr double kEps = 1e-5;
    std::vector<float> x = random_values(rows * cols, 3.0F);
    std::vector<float> weight = random_values(cols);
    for (size_t i = 0; i < static_cast<size_t>(cols); ++i) {
      x[i] *= 1e-3F;  // eps matters in the first row
    }
    const DeviceBuffer scales = upload_as(weight_dtype, weight);
    const DeviceBuffer source = upload_guarded(dtype, x);
    const DeviceBuffer other = poisoned(dtype, rows * cols);
    const DeviceBuffer& result = in_place ? source : other;
    ASSERT_OK(rms_norm(source.data(), dtype, rows, cols, scales.data(), weight_dtype, kEps,
                       result.data(), stream()));
    std::vector<double> wanted(x.size());
    std::vector<double> bounds(x.size());
    const double relative = 0x1p-17 + (dtype == DType::kBf16 ? 0x1p-8 : 0.0);
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = x.data() + r * cols;
      double squares = 0.0;
      for (int64_t c = 0; c < cols; ++c) {
        squares += static_cast<double>(row[c]) * static_cast<double>(row[c]);
      }
      const double root = std::sqrt(squares / static_cast<double>(cols) + kEps);
      for (int64_t c = 0; c < cols; ++c) {
        const auto at = static_cast<size_t>(r * cols + c);
        wanted[at] = static_cast<double>(row[c]) / root *
                     static_cast<double>(weight[static_cast<size_t>(c)]);
        bounds[at] = relative * std::abs(wanted[at]) + 1e-37;
      }
    }
    expect_near(wanted, bounds, cols, dtype, result);
  }
};

TEST_F(RmsNorm, IsTrueForRowsOfAnyLength) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const int64_t cols : {1, 3, 8, 64, 100, 128, 511, 512, 513, 1024, 1025, 1028, 4096, 5120,
                               8192, 16384, 24575, 24576}) {
      for (const int64_t rows : {1, 3, 37}) {
        check(rows, cols, dtype, dtype);
      }
    }
  }
}

TEST_F(RmsNorm, TakesWeightsOfAnyDtype) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const DType weight : {DType::kF32, DType::kBf16, DType::kF16}) {
      for (const int64_t cols : {100, 101, 4096, 4098}) {
        check(5, cols, dtype, weight);
      }
    }
  }
}

TEST_F(RmsNorm, InPlaceIsTheSame) {
  check(33, 128, DType::kBf16, DType::kBf16, true);
  check(5, 4096, DType::kF32, DType::kBf16, true);
}

TEST_F(RmsNorm, ARowDoesNotDependOnTheOthers) {
  for (const int64_t cols : {128, 2048}) {
    std::vector<float> x = random_values(19 * cols);
    const DeviceBuffer source = upload_as(DType::kBf16, x);
    std::vector<float> ones(static_cast<size_t>(cols), 1.0F);
    const DeviceBuffer weight = upload(ones);
    const DeviceBuffer all = poisoned(DType::kBf16, 19 * cols);
    ASSERT_OK(rms_norm(source.data(), DType::kBf16, 19, cols, weight.data(), DType::kF32, 1e-6,
                       all.data(), stream()));
    const std::vector<float> together = download(DType::kBf16, 19 * cols, all);
    for (const int64_t row : {0, 7, 18}) {
      const DeviceBuffer one = poisoned(DType::kBf16, cols);
      ASSERT_OK(rms_norm(source.as<uint16_t>() + row * cols, DType::kBf16, 1, cols, weight.data(),
                         DType::kF32, 1e-6, one.data(), stream()));
      expect_values({together.begin() + row * cols, together.begin() + (row + 1) * cols}, cols,
                    DType::kBf16, one);
    }
  }
}

TEST(RmsNormArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  const auto norm = [&](DType dtype, DType weight_dtype, int64_t cols, const void* weight) {
    return rms_norm(x, dtype, 1, cols, weight, weight_dtype, 1e-6, x, nullptr);
  };
  EXPECT_FAILS(norm(DType::kF16, DType::kF16, 8, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "x of F16");
  EXPECT_FAILS(norm(DType::kF32, DType::kI8, 8, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "weight of I8");
  EXPECT_FAILS(norm(DType::kF32, DType::kF32, 24577, x), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "24577 F32");
  EXPECT_FAILS(norm(DType::kF32, DType::kF32, 8, x + 1), Code::kInvalidArgument, "BAD_POINTER",
               "weight is not aligned");
  EXPECT_OK(rms_norm(nullptr, DType::kF32, 0, 64, nullptr, DType::kF32, 1e-6, nullptr, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
