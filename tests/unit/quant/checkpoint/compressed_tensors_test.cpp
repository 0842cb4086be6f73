#include "quant/checkpoint/compressed_tensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quant/format/codes.h"
#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

const CompressedTensorsLayout kLayout;

TEST(CompressedTensors, SpecsFollowTheTables) {
  const QuantizedModule m{"m", 64, 256, 0};
  const auto nvfp4 = *make_scheme(Format::kNvfp4, 0, DType::kBf16);
  EXPECT_EQ(kLayout.tensor_specs(m, nvfp4, Activations::kA4),
            (std::vector<TensorSpec>{{"m.weight_packed", DType::kU8, {64, 128}},
                                     {"m.weight_scale", DType::kF8E4M3, {64, 16}},
                                     {"m.weight_global_scale", DType::kF32, {1}},
                                     {"m.input_global_scale", DType::kF32, {1}}}));
  const auto mxfp4 = *make_scheme(Format::kMxfp4, 0, DType::kBf16);
  EXPECT_EQ(kLayout.tensor_specs(m, mxfp4, Activations::kA4),
            (std::vector<TensorSpec>{{"m.weight_packed", DType::kU8, {64, 128}},
                                     {"m.weight_scale", DType::kU8, {64, 8}}}));
  const auto int4 = *make_scheme(Format::kInt4, 32, DType::kF16);
  EXPECT_EQ(kLayout.tensor_specs(m, int4, Activations::kA16),
            (std::vector<TensorSpec>{{"m.weight_packed", DType::kI32, {64, 32}},
                                     {"m.weight_scale", DType::kF16, {64, 8}},
                                     {"m.weight_shape", DType::kI64, {2}}}));
}

TEST(CompressedTensors, WorkedGroupOfInt4) {
  // formats.md: q = [1,-4,6,0,-1,3,-7,2] is the word 0xA1B78E49.
  QuantizedMatrix matrix;
  matrix.scheme = *make_scheme(Format::kInt4, 8, DType::kBf16);
  matrix.rows = 1;
  matrix.cols = 8;
  matrix.codes.resize(4);
  const uint8_t codes[8] = {9, 4, 14, 8, 7, 11, 1, 10};
  pack_nibbles(codes, 8, matrix.codes.data());
  matrix.scales = {0x04, 0x3c};
  const auto tensors = kLayout.encode("m", Activations::kA16, std::move(matrix));
  ASSERT_OK(tensors);
  uint32_t word = 0;
  std::memcpy(&word, (*tensors)[0].bytes.data(), 4);
  EXPECT_EQ(word, 0xA1B78E49U);
}

TEST(CompressedTensors, TellsCodesByTheirName) {
  EXPECT_EQ(kLayout.module_of_codes({"model.q_proj.weight_packed", DType::kU8, {2, 2}}),
            "model.q_proj");
  EXPECT_EQ(kLayout.module_of_codes({"model.q_proj.weight_scale", DType::kF8E4M3, {2, 1}}), "");
}

}  // namespace
}  // namespace rotor
