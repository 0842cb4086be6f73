#include "kernels/columns.h"

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

struct Case {
  RunPlace from;
  RunPlace to;
  int64_t heads;
  int64_t width;
};

using Columns = CudaTest;

TEST_F(Columns, AreCopiedAndTheOthersStay) {
  const int64_t rows = 37;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    // Keys of latent attention, their rotary part that all heads share, and runs of odd places.
    for (const Case& shape :
         {Case{{1024, 0, 256}, {768, 0, 192}, 4, 128}, Case{{64, 0, 0}, {768, 128, 192}, 4, 64},
          Case{{21, 2, 7}, {30, 1, 10}, 3, 5}, Case{{8, 0, 1}, {8, 7, 0}, 1, 1}}) {
      SCOPED_TRACE(::testing::Message()
                   << shape.heads << " of " << shape.width << ", " << dtype_name(dtype));
      std::vector<float> x = random_values(rows * shape.from.cols);
      std::vector<float> expected = random_values(rows * shape.to.cols);
      const DeviceBuffer in = upload_as(dtype, x);
      const DeviceBuffer out = upload_guarded(dtype, expected);
      ASSERT_OK(copy_columns(in.data(), shape.from, out.data(), shape.to, dtype, rows, shape.heads,
                             shape.width, stream()));
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t h = 0; h < shape.heads; ++h) {
          for (int64_t c = 0; c < shape.width; ++c) {
            const int64_t to = r * shape.to.cols + shape.to.first + h * shape.to.step + c;
            const int64_t from = r * shape.from.cols + shape.from.first + h * shape.from.step + c;
            expected[static_cast<size_t>(to)] = x[static_cast<size_t>(from)];
          }
        }
      }
      expect_values(expected, shape.to.cols, dtype, out);
    }
  }
}

TEST(ColumnsArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  EXPECT_FAILS(copy_columns(x, {8, 1, 3}, x, {8, 0, 4}, DType::kF32, 1, 2, 5, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "in: 2 runs of 5 from column 1");
  EXPECT_FAILS(copy_columns(x, {8, 0, 3}, x, {8, 0, 4}, DType::kF32, 1, 2, 5, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "out: 2 runs");
  EXPECT_FAILS(copy_columns(x, {8, 0, 4}, x, {8, 0, 4}, DType::kF16, 1, 2, 4, nullptr),
               Code::kUnimplemented, "UNSUPPORTED_ON_CUDA", "in of F16");
  EXPECT_FAILS(copy_columns(nullptr, {8, 0, 4}, x, {8, 0, 4}, DType::kF32, 1, 2, 4, nullptr),
               Code::kInvalidArgument, "BAD_POINTER", "in is null");
  EXPECT_OK(copy_columns(nullptr, {8, 0, 4}, nullptr, {8, 0, 4}, DType::kF32, 0, 2, 4, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
