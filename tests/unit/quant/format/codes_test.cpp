#include "quant/format/codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "quant/format/bf16.h"
#include "quant/gptq/solve.h"

namespace rotor {
namespace {

// The worked groups of formats.md: eight weights, filled up with zeros to a group.
const std::vector<float> kWorked{.012F, -.034F, .051F, 0.0F, -.007F, .026F, -.060F, .019F};

QuantizedMatrix round_worked(const QuantScheme& scheme, const std::vector<float>& weights,
                             std::vector<uint8_t> stored, float global_scale) {
  QuantizedMatrix matrix{scheme, 1, scheme.group_size, {}, std::move(stored), global_scale};
  std::vector<float> w(static_cast<size_t>(scheme.group_size));
  std::copy(weights.begin(), weights.end(), w.begin());
  float effective = 0.0F;
  effective_scales(scheme, matrix.scales.data(), 1, global_scale, &effective);
  matrix.codes.resize(w.size() / 2);
  SerialParallel serial;
  EXPECT_TRUE(
      round_rows(w.data(), 1, scheme.group_size, scheme, &effective, matrix.codes.data(), serial)
          .ok());
  return matrix;
}

void expect_group(const QuantizedMatrix& matrix, const std::vector<uint8_t>& bytes,
                  const std::vector<float>& values) {
  const std::vector<uint8_t> got(matrix.codes.begin(),
                                 matrix.codes.begin() + static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(got, bytes);
  std::vector<float> out(static_cast<size_t>(matrix.cols));
  ASSERT_TRUE(dequantize_rows(matrix, 0, 1, out.data()).ok());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_FLOAT_EQ(out[i], values[i]) << i;
  }
}

TEST(WorkedGroups, Nvfp4) {
  const auto matrix =
      round_worked(*make_scheme(Format::kNvfp4, 0, DType::kBf16), kWorked, {0x70}, 12800.0F);
  expect_group(matrix, {0xd2, 0x07, 0x59, 0x4f},
               {.01F, -.03F, .06F, 0.0F, -.005F, .03F, -.06F, .02F});
}

TEST(WorkedGroups, Mxfp4) {
  const auto matrix =
      round_worked(*make_scheme(Format::kMxfp4, 0, DType::kBf16), kWorked, {0x79}, 1.0F);
  expect_group(matrix, {0xc2, 0x05, 0x39, 0x2e},
               {.015625F, -.03125F, .046875F, 0.0F, -.0078125F, .0234375F, -.0625F, .015625F});
}

TEST(WorkedGroups, Int4WordsHoldTheFirstColumnLowest) {
  const uint16_t scale = f32_to_bf16(.008056640625F);
  const auto matrix =
      round_worked(*make_scheme(Format::kInt4, 8, DType::kBf16), kWorked,
                   {static_cast<uint8_t>(scale), static_cast<uint8_t>(scale >> 8)}, 1.0F);
  uint32_t word = 0;
  std::memcpy(&word, matrix.codes.data(), sizeof(word));
  EXPECT_EQ(word, 0xA1B78E49U);
}

TEST(WorkedGroups, FpQuant) {
  const QuantScheme mxfp4 = *make_scheme(Format::kMxfp4, 0, DType::kBf16);
  const auto third = round_worked(mxfp4, {.1F, -.03F}, {123}, 3.0F);
  EXPECT_EQ(third.codes[0], 0xB6);
  expect_group(third, {0xB6}, {4.0F * .0208333333F, -1.5F * .0208333333F});
  const QuantScheme nvfp4 = *make_scheme(Format::kNvfp4, 0, DType::kBf16);
  const auto matrix = round_worked(nvfp4, {.1F, -.03F}, {0x6B}, 5376.0F);
  EXPECT_EQ(matrix.codes[0], 0xC7);
}

TEST(Nibbles, LowNibbleFirstAndBack) {
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<uint8_t>((i * 7 + i / 16) % 16);
  }
  std::vector<uint8_t> packed(128);
  pack_nibbles(codes.data(), 256, packed.data());
  EXPECT_EQ(packed[3], codes[6] | codes[7] << 4);
  std::vector<uint8_t> back(256);
  unpack_nibbles(packed.data(), 256, back.data());
  EXPECT_EQ(back, codes);
}

TEST(DecodeScale, EveryStoredDtype) {
  const uint8_t bytes[] = {0x80, 0x3F, 0x00, 0x40};  // BF16 1, 2
  EXPECT_EQ(decode_scale(DType::kBf16, bytes, 0), 1.0F);
  EXPECT_EQ(decode_scale(DType::kBf16, bytes, 1), 2.0F);
  EXPECT_EQ(decode_scale(DType::kF16, bytes, 1), 2.0F);
  EXPECT_EQ(decode_scale(DType::kF8E4M3, bytes, 3), 2.0F);
  EXPECT_EQ(decode_scale(DType::kU8, bytes, 0), 2.0F);
  const float value = 0.3F;
  EXPECT_EQ(decode_scale(DType::kF32, reinterpret_cast<const uint8_t*>(&value), 0), value);
}

TEST(DequantizeRows, IsTheSameBitsAsDequantizeCodesAndChecksShapes) {
  const QuantScheme scheme = *make_scheme(Format::kNvfp4, 0, DType::kBf16);
  QuantizedMatrix matrix{scheme, 3, 64, {}, {}, 1234.5F};
  for (int i = 0; i < 3 * 32; ++i) {
    matrix.codes.push_back(static_cast<uint8_t>(i * 37));
  }
  for (int i = 0; i < 3 * 4; ++i) {
    matrix.scales.push_back(static_cast<uint8_t>(1 + i * 10));
  }
  std::vector<float> effective(12);
  effective_scales(scheme, matrix.scales.data(), 12, matrix.global_scale, effective.data());
  std::vector<float> whole(3 * 64);
  SerialParallel serial;
  dequantize_codes(scheme, matrix.codes.data(), effective.data(), 3, 64, whole.data(), serial);
  std::vector<float> part(2 * 64);
  ASSERT_TRUE(dequantize_rows(matrix, 1, 2, part.data()).ok());
  EXPECT_EQ(std::memcmp(part.data(), whole.data() + 64, part.size() * sizeof(float)), 0);

  EXPECT_EQ(dequantize_rows(matrix, 2, 2, part.data()).code(), Code::kOutOfRange);
  matrix.scales.pop_back();
  EXPECT_EQ(dequantize_rows(matrix, 0, 1, part.data()).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace rotor
