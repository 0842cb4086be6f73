#include "kernels/reductions.h"

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class MaxAbs : public CudaTest {
 protected:
  DeviceBuffer zero() { return upload(std::vector<float>{0.0F}); }

  float value_of(const DeviceBuffer& number) {
    float value = -1.0F;
    EXPECT_OK(number.copy_to_host(&value, 4, stream()));
    synchronize();
    return value;
  }

  float max_of(std::vector<float> x, DType dtype) {
    const DeviceBuffer source = upload_as(dtype, x);
    const DeviceBuffer running = zero();
    EXPECT_OK(max_abs(source.data(), dtype, static_cast<int64_t>(x.size()), running.as<float>(),
                      stream()));
    return value_of(running);
  }
};

TEST_F(MaxAbs, FindsTheLargestWhereverItIs) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const size_t count : {1, 3, 8, 9, 4095, 4097, 16384, 32768, 32769, 1000003}) {
      for (const size_t place : {size_t{0}, count / 2, count - 1}) {
        SCOPED_TRACE(::testing::Message()
                     << count << " of " << dtype_name(dtype) << ", largest at " << place);
        std::vector<float> x = random_values(static_cast<int64_t>(count));
        x[place] = -64.0F;
        EXPECT_EQ(max_of(x, dtype), 64.0F);
      }
    }
  }
}

TEST_F(MaxAbs, NanIsMoreThanInfinityAndInfinityMoreThanNumbers) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    std::vector<float> x = random_values(10007);
    x[5000] = 3e38F;
    EXPECT_EQ(max_of(x, DType::kF32), 3e38F);
    x[10006] = -kInfinity;
    EXPECT_EQ(max_of(x, dtype), kInfinity);
    x[17] = -std::nanf("");
    EXPECT_TRUE(std::isnan(max_of(x, dtype)));
  }
}

TEST_F(MaxAbs, FoldsCallsIntoOneNumber) {
  const DeviceBuffer running = zero();
  const auto fold = [&](const std::vector<float>& x) {
    const DeviceBuffer source = upload(x);
    EXPECT_OK(max_abs(source.data(), DType::kF32, static_cast<int64_t>(x.size()),
                      running.as<float>(), stream()));
    return value_of(running);
  };
  EXPECT_EQ(fold({0.0F, -0.0F}), 0.0F);
  EXPECT_EQ(fold({-2.0F, 1.0F}), 2.0F);
  EXPECT_EQ(fold({1.5F}), 2.0F);
  EXPECT_EQ(fold({1e-40F, 3.0F}), 3.0F);
  EXPECT_EQ(fold({kInfinity}), kInfinity);
  EXPECT_EQ(fold({1.0F}), kInfinity);
  EXPECT_TRUE(std::isnan(fold({std::nanf("")})));
  EXPECT_TRUE(std::isnan(fold({kInfinity})));
}

TEST(MaxAbsArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  EXPECT_FAILS(max_abs(x, DType::kF16, 8, x, nullptr), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "x of F16");
  EXPECT_FAILS(max_abs(x + 1, DType::kF32, 8, x, nullptr), Code::kInvalidArgument, "BAD_POINTER",
               "x is not aligned");
  EXPECT_FAILS(max_abs(x, DType::kF32, 8, nullptr, nullptr), Code::kInvalidArgument, "BAD_POINTER",
               "running is null");
  EXPECT_OK(max_abs(nullptr, DType::kF32, 0, x + 1, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
