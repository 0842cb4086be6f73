#include "kernels/hadamard.h"

#include <limits>

#include "quant/rotation/hadamard.h"
#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

struct Case {
  int64_t rows;
  int64_t cols;
  int64_t block;
};

class Hadamard : public CudaTest {
 protected:
  static std::vector<float> on_cpu(const std::vector<float>& x, const Case& shape) {
    std::vector<float> out(x.size());
    SerialParallel serial;
    EXPECT_OK(rotor::rotate_rows(x.data(), DType::kF32, shape.rows, shape.cols, shape.block,
                                 out.data(), serial));
    return out;
  }

  void check(const Case& shape, DType in, DType out) {
    SCOPED_TRACE(::testing::Message()
                 << shape.rows << " x " << shape.cols << ", block " << shape.block << ", "
                 << dtype_name(in) << " to " << dtype_name(out));
    std::vector<float> x = random_values(shape.rows * shape.cols);
    const DeviceBuffer source = upload_as(in, x);
    const DeviceBuffer result = poisoned(out, shape.rows * shape.cols);
    ASSERT_OK(rotate_rows(source.data(), in, shape.rows, shape.cols, shape.block, result.data(),
                          out, stream()));
    expect_values(on_cpu(x, shape), shape.cols, out, result);
  }
};

TEST_F(Hadamard, GivesTheCpusBitsForEveryBlockShapeAndDtype) {
  for (const int64_t block : {16, 32, 64, 128, 256}) {
    for (const Case& shape :
         {Case{1, block, block}, Case{3, block, block}, Case{7, 3 * block, block},
          Case{5, 11 * block, block}, Case{2, 28672, block}}) {
      for (const DType in : {DType::kF32, DType::kBf16}) {
        for (const DType out : {DType::kF32, DType::kBf16}) {
          check(shape, in, out);
        }
      }
    }
  }
}

TEST_F(Hadamard, InPlaceIsTheSame) {
  const Case shape{9, 384, 128};
  const std::vector<float> x = random_values(shape.rows * shape.cols);
  DeviceBuffer buffer = poisoned(DType::kF32, shape.rows * shape.cols);
  ASSERT_OK(buffer.copy_from_host(x.data(), shape.rows * shape.cols * 4, stream()));
  ASSERT_OK(rotate_rows(buffer.data(), DType::kF32, shape.rows, shape.cols, shape.block,
                        buffer.data(), DType::kF32, stream()));
  expect_values(on_cpu(x, shape), shape.cols, DType::kF32, buffer);
}

TEST_F(Hadamard, ABadValueSpoilsItsBlockAndNoOther) {
  const Case shape{2, 64, 16};
  std::vector<float> x = random_values(shape.rows * shape.cols);
  x[17] = std::numeric_limits<float>::quiet_NaN();
  x[70] = std::numeric_limits<float>::infinity();
  const DeviceBuffer source = upload(x);
  const DeviceBuffer result = poisoned(DType::kF32, shape.rows * shape.cols);
  ASSERT_OK(rotate_rows(source.data(), DType::kF32, shape.rows, shape.cols, shape.block,
                        result.data(), DType::kF32, stream()));
  expect_values(on_cpu(x, shape), shape.cols, DType::kF32, result);
}

TEST(HadamardArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  const auto rotate = [&](DType in, int64_t cols, int64_t block, const void* source) {
    return rotate_rows(source, in, 1, cols, block, x, DType::kF32, nullptr);
  };
  EXPECT_FAILS(rotate(DType::kF32, 64, 8, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "from 16 to 256");
  EXPECT_FAILS(rotate(DType::kF16, 64, 16, x), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "F32, BF16");
  EXPECT_FAILS(rotate(DType::kF32, 40, 16, x), Code::kInvalidArgument, "BAD_SHAPE", "40 columns");
  EXPECT_FAILS(rotate(DType::kF32, 64, 16, nullptr), Code::kInvalidArgument, "BAD_POINTER", "null");
  EXPECT_FAILS(rotate(DType::kF32, 48, 16, x + 1), Code::kInvalidArgument, "BAD_POINTER",
               "not aligned");
  EXPECT_OK(rotate_rows(nullptr, DType::kF32, 0, 64, 16, nullptr, DType::kF32, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
