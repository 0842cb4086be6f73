#include "kernels/embedding.h"

#include <limits>

#include "tests/unit/kernels/cuda_test.h"

namespace rotor::kernels {
namespace {

class Embedding : public CudaTest {
 protected:
  void check(const std::vector<int32_t>& ids, int64_t vocabulary, int64_t cols, DType table_dtype,
             DType out, float scale = 1.0F) {
    SCOPED_TRACE(::testing::Message()
                 << ids.size() << " of " << vocabulary << " x " << cols << ", "
                 << dtype_name(table_dtype) << " to " << dtype_name(out) << " times " << scale);
    std::vector<float> table = random_values(vocabulary * cols);
    const DeviceBuffer rows = upload_as(table_dtype, table);
    const DeviceBuffer indices = upload(ids);
    const auto tokens = static_cast<int64_t>(ids.size());
    const DeviceBuffer result = poisoned(out, tokens * cols);
    ASSERT_OK(embed_rows(rows.data(), table_dtype, vocabulary, cols, indices.as<int32_t>(), tokens,
                         scale, result.data(), out, stream()));
    std::vector<float> expected;
    for (const int32_t id : ids) {
      for (int64_t c = 0; c < cols; ++c) {
        expected.push_back(id >= 0 && id < vocabulary
                               ? table[static_cast<size_t>(id * cols + c)] * scale
                               : std::numeric_limits<float>::quiet_NaN());
      }
    }
    expect_values(expected, cols, out, result);
  }
};

TEST_F(Embedding, CopiesRowsOfAnyWidthAndDtype) {
  for (const DType table : {DType::kF32, DType::kBf16, DType::kF16}) {
    for (const DType out : {DType::kF32, DType::kBf16}) {
      for (const int64_t cols : {1, 7, 64, 260, 2048, 8192}) {
        check({3, 0, 6, 6, 2}, 7, cols, table, out);
      }
    }
  }
}

TEST_F(Embedding, ScalesRowsAndRoundsOnce) {
  for (const DType table : {DType::kF32, DType::kBf16}) {
    for (const DType out : {DType::kF32, DType::kBf16}) {
      check({3, 0, 6, 6, 2}, 7, 260, table, out, 33.75F);
    }
  }
}

TEST_F(Embedding, MakesNanOfIdsOutOfRange) {
  check({0, -1, 1, 2, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}, 2,
        40, DType::kBf16, DType::kBf16);
}

TEST_F(Embedding, TakesIdsFromAnyPlace) {
  std::vector<float> table = random_values(4 * 8);
  const DeviceBuffer rows = upload(table);
  const DeviceBuffer ids = upload(std::vector<int32_t>{0, 3, 1});
  const DeviceBuffer result = poisoned(DType::kF32, 2 * 8);
  ASSERT_OK(embed_rows(rows.data(), DType::kF32, 4, 8, ids.as<int32_t>() + 1, 2, 1.0F,
                       result.data(), DType::kF32, stream()));
  std::vector<float> expected(table.begin() + 24, table.end());
  expected.insert(expected.end(), table.begin() + 8, table.begin() + 16);
  expect_values(expected, 8, DType::kF32, result);
}

TEST(EmbeddingArguments, AreRefusedBeforeTheDeviceIsTouched) {
  alignas(16) float x[64] = {};
  alignas(16) int32_t ids[4] = {};
  const auto embed = [&](DType table, DType out, int64_t tokens, const int32_t* from) {
    return embed_rows(x, table, 4, 8, from, tokens, 1.0F, x, out, nullptr);
  };
  EXPECT_FAILS(embed(DType::kI32, DType::kF32, 1, ids), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "table of I32");
  EXPECT_FAILS(embed(DType::kF32, DType::kF16, 1, ids), Code::kUnimplemented, "UNSUPPORTED_ON_CUDA",
               "out of F16");
  EXPECT_FAILS(embed(DType::kF32, DType::kF32, -1, ids), Code::kInvalidArgument, "BAD_SHAPE",
               "[-1, 8]");
  EXPECT_FAILS(embed(DType::kF32, DType::kF32, 1, nullptr), Code::kInvalidArgument, "BAD_POINTER",
               "ids is null");
  EXPECT_FAILS(embed(DType::kF32, DType::kF32, int64_t{1} << 32, ids), Code::kInvalidArgument,
               "BAD_SHAPE", "4294967296 blocks");
  EXPECT_OK(embed(DType::kF16, DType::kBf16, 0, nullptr));
}

}  // namespace
}  // namespace rotor::kernels
