#include "model/fp8_matrix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quant/checkpoint/memory_source.h"
#include "quant/format/bf16.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

const TensorSpec kCodes{"m.weight", DType::kF8E4M3, {2, 4}};
const std::vector<uint8_t> kCodeBytes = {0x00, 0x81, 0x07, 0x88, 0x3A, 0xC5, 0x7E, 0x3F};

template <typename T>
StoredTensor stored(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  StoredTensor tensor{{"m.weight_scale", dtype, std::move(shape)}, {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

template <typename T = uint16_t>
Result<std::vector<T>> decoded(const StoredTensor& scales, const ScaleBlock& block,
                               DType dtype = DType::kBf16) {
  MemorySource source;
  source.add({kCodes, kCodeBytes});
  source.add(scales);
  std::vector<T> values(8);
  ROTOR_RETURN_IF_ERROR(fp8_matrix(kCodes, scales.spec, block, dtype)
                            ->read_rows(source, 0, kCodes.shape[0], values.data()));
  return values;
}

using Bits = std::vector<uint16_t>;

// What compressed-tensors 0.20.0 (FloatQuantizationCompressor.decompress) makes of the same codes
// and scales, in BF16.
TEST(Fp8Matrix, DecodesAsTheReferenceDoes) {
  const auto whole = decoded(stored<float>(DType::kF32, {1}, {0.0123F}), {2, 4});
  ASSERT_OK(whole);
  EXPECT_EQ(*whole, (Bits{0x0, 0xb7ca, 0x3930, 0xb94a, 0x3c7c, 0xbd24, 0x40b0, 0x3cbd}));
  const auto rows = decoded(stored<uint16_t>(DType::kBf16, {2, 1}, {0x3ebd, 0x3b2a}), {1, 4});
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, (Bits{0x0, 0xba3d, 0x3ba5, 0xbbbd, 0x3b54, 0xbc0a, 0x3f95, 0x3b9f}));
  const auto blocks =
      decoded(stored<float>(DType::kF32, {2, 2}, {0.1F, 0.7F, 1.3e-3F, 5.9e-2F}), {1, 2});
  ASSERT_OK(blocks);
  EXPECT_EQ(*blocks, (Bits{0x0, 0xb94d, 0x3c1d, 0xbc33, 0x3ad5, 0xbb8a, 0x41d3, 0x3de3}));
}

// As above, MXFP8QuantizationCompressor: bytes 120 and 130 are 2^-7 and 2^3.
TEST(Fp8Matrix, DecodesPowersOfTwo) {
  const Bits expected = {0x0, 0xb780, 0x38e0, 0xb900, 0x4120, 0xc1d0, 0x4560, 0x4170};
  for (const DType dtype : {DType::kU8, DType::kF8E8M0}) {
    const auto rows = decoded(stored<uint8_t>(dtype, {2, 1}, {120, 130}), {1, 4});
    ASSERT_OK(rows);
    EXPECT_EQ(*rows, expected);
  }
}

TEST(Fp8Matrix, BlocksAreCutOffAtTheEdges) {
  const auto values =
      decoded<float>(stored<float>(DType::kF32, {1, 2}, {2.0F, 4.0F}), {3, 3}, DType::kF32);
  ASSERT_OK(values);
  EXPECT_EQ((*values)[4], 2.5F);    // 1.25 in the first block
  EXPECT_EQ((*values)[6], 896.0F);  // 448
  EXPECT_EQ((*values)[7], 7.5F);    // 1.875 in the second
}

TEST(Fp8Matrix, DecodesToTheDtypeOfTheModel) {
  const StoredTensor scale = stored<float>(DType::kF32, {}, {0.0123F});
  const auto wide = decoded<float>(scale, {2, 4}, DType::kF32);
  const auto half = decoded(scale, {2, 4}, DType::kF16);
  ASSERT_OK(wide);
  ASSERT_OK(half);
  EXPECT_EQ((*wide)[6], 448.0F * 0.0123F);
  EXPECT_EQ((*half)[6], f32_to_f16(448.0F * 0.0123F));
}

TEST(Fp8Matrix, AScaleThatIsNoNumberIsNamed) {
  EXPECT_FAILS(decoded(stored<uint8_t>(DType::kF8E8M0, {2, 1}, {120, 255}), {1, 4}),
               Code::kInvalidArgument, "NOT_FINITE", "m.weight_scale");
  EXPECT_FAILS(decoded(stored<uint16_t>(DType::kBf16, {1}, {0x7f80}), {2, 4}),
               Code::kInvalidArgument, "NOT_FINITE", "m.weight_scale");
}

}  // namespace
}  // namespace rotor
