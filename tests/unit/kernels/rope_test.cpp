#include "kernels/rope.h"

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

struct Case {
  int64_t sequences;
  int64_t seq_len;
  int64_t heads;
  int64_t head_dim;
  int64_t rotary;
  int64_t first = 0;
  bool interleaved = false;
};

class Rope : public CudaTest {
 protected:
  void check(const Case& shape, DType dtype) {
    SCOPED_TRACE(::testing::Message()
                 << shape.sequences << " sequences of " << shape.seq_len << ", " << shape.heads
                 << " heads of " << shape.head_dim << " rotated over " << shape.rotary << " from "
                 << shape.first << (shape.interleaved ? " by neighbours, " : ", ")
                 << dtype_name(dtype));
    const int64_t half = shape.rotary / 2;
    const int64_t rows = shape.sequences * shape.seq_len;
    const int64_t cols = shape.heads * shape.head_dim;
    std::vector<float> cos = random_values(shape.seq_len * half);
    std::vector<float> sin = random_values(shape.seq_len * half);
    std::vector<float> x = random_values(rows * cols);
    const DeviceBuffer x_device = upload_guarded(dtype, x);
    const DeviceBuffer cos_device = upload(cos);
    const DeviceBuffer sin_device = upload(sin);
    const RopeProblem problem{rows,          shape.heads, shape.head_dim,   shape.rotary,
                              shape.seq_len, shape.first, shape.interleaved};
    ASSERT_OK(rope(x_device.data(), dtype, problem, cos_device.as<float>(), sin_device.as<float>(),
                   stream()));
    std::vector<float> expected = x;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        for (int64_t i = 0; i < half; ++i) {
          const int64_t at = r * cols + h * shape.head_dim + shape.first;
          const auto low = static_cast<size_t>(at + (shape.interleaved ? 2 * i : i));
          const size_t high = low + static_cast<size_t>(shape.interleaved ? 1 : half);
          const float c = cos[static_cast<size_t>(r % shape.seq_len * half + i)];
          const float s = sin[static_cast<size_t>(r % shape.seq_len * half + i)];
          expected[low] = std::fma(x[low], c, -(x[high] * s));
          expected[high] = std::fma(x[high], c, x[low] * s);
        }
      }
    }
    expect_values(expected, cols, dtype, x_device);
  }
};

TEST_F(Rope, GivesTheBitsOfItsFormula) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const Case& shape :
         {Case{1, 1, 1, 2, 2}, Case{1, 1, 1, 128, 128}, Case{3, 5, 3, 64, 64},
          Case{2, 7, 5, 80, 80}, Case{2, 9, 3, 12, 12}, Case{2, 65, 8, 128, 128},
          Case{1, 33, 2, 256, 256}, Case{4, 1, 6, 8, 8}, Case{2, 9, 5, 128, 96},
          Case{3, 7, 3, 64, 22}, Case{2, 5, 2, 18, 16}, Case{1, 5, 4, 128, 2},
          Case{2, 9, 5, 192, 64, 128}, Case{2, 9, 5, 48, 16, 30}, Case{3, 5, 3, 64, 64, 0, true},
          Case{2, 9, 5, 192, 64, 128, true}, Case{3, 5, 3, 22, 6, 14, true}}) {
      check(shape, dtype);
    }
  }
}

TEST(RopeArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  const auto rotate = [&](int64_t rows, int64_t heads, int64_t head_dim, int64_t seq_len) {
    return rope(x, DType::kF32, {rows, heads, head_dim, head_dim, seq_len}, x, x, nullptr);
  };
  EXPECT_FAILS(rotate(4, 1, 7, 2), Code::kInvalidArgument, "BAD_SHAPE", "heads of 7");
  EXPECT_FAILS(rotate(5, 1, 8, 2), Code::kInvalidArgument, "BAD_SHAPE", "5 rows in sequences of 2");
  EXPECT_FAILS(rotate(4, 0, 8, 2), Code::kInvalidArgument, "BAD_SHAPE", "0 heads");
  EXPECT_FAILS(rotate(4, 1, 8, 0), Code::kInvalidArgument, "BAD_SHAPE", "sequences of 0");
  EXPECT_FAILS(rope(x, DType::kF16, {2, 1, 8, 8, 2}, x, x, nullptr), Code::kUnimplemented,
               "UNSUPPORTED_ON_CUDA", "x of F16");
  for (const int64_t rotary : {0, 3, 10}) {
    EXPECT_FAILS(rope(x, DType::kF32, {2, 1, 8, rotary, 2}, x, x, nullptr), Code::kInvalidArgument,
                 "BAD_SHAPE", "rotated over " + std::to_string(rotary));
  }
  EXPECT_FAILS(rope(x, DType::kF32, {2, 1, 8, 4, 2, 6}, x, x, nullptr), Code::kInvalidArgument,
               "BAD_SHAPE", "from column 6");
  EXPECT_FAILS(rope(x, DType::kF32, {2, 1, 8, 4, 2, 3, true}, x, x, nullptr),
               Code::kInvalidArgument, "BAD_SHAPE", "from column 3");
  EXPECT_FAILS(rope(x, DType::kF32, {2, 1, 8, 8, 2}, nullptr, x, nullptr), Code::kInvalidArgument,
               "BAD_POINTER", "cos is null");
  EXPECT_OK(rope(nullptr, DType::kF32, {0, 1, 8, 8, 2}, nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
