#include "quant/checkpoint/fp_quant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "quant/checkpoint/fp_quant_config.h"
#include "quant/checkpoint/memory_source.h"
#include "quant/format/bf16.h"
#include "quant/format/codes.h"
#include "quant/gptq/solve.h"
#include "quant/scales/scale_search.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

const FpQuantLayout kLayout;

QuantScheme scheme(Format format) {
  return *make_scheme(format, 0, DType::kBf16, Layout::kFpQuant);
}

TEST(FpQuant, SpecsFollowTheTable) {
  const QuantizedModule m{"m", 64, 256, 32};
  EXPECT_EQ(kLayout.tensor_specs(m, scheme(Format::kNvfp4), Activations::kA4),
            (std::vector<TensorSpec>{{"m.qweight", DType::kU8, {64, 128}},
                                     {"m.scales", DType::kU8, {64, 16}},
                                     {"m.weight_global_scale", DType::kF32, {1}},
                                     {"m.act_global_scale", DType::kF32, {1}}}));
  EXPECT_EQ(kLayout.tensor_specs(m, scheme(Format::kMxfp4), Activations::kA4),
            (std::vector<TensorSpec>{{"m.qweight", DType::kU8, {64, 128}},
                                     {"m.scales", DType::kU8, {64, 8}},
                                     {"m.weight_global_scale", DType::kF32, {1}},
                                     {"m.act_global_scale", DType::kF32, {1}}}));
}

TEST(FpQuant, TellsCodesByTheirName) {
  EXPECT_EQ(kLayout.module_of_codes({"model.q_proj.qweight", DType::kU8, {2, 2}}), "model.q_proj");
  EXPECT_EQ(kLayout.module_of_codes({"model.q_proj.scales", DType::kU8, {2, 1}}), "");
}

// One group whose first two columns are .1 and -.03, through search, rounding, file and back.
struct WorkedGroup {
  uint8_t scale = 0;
  uint8_t codes = 0;
  float effective = 0.0F;
  std::vector<float> decoded;
};

WorkedGroup work(Format format, float tensor_amax) {
  SerialParallel serial;
  QuantizedMatrix matrix;
  matrix.scheme = scheme(format);
  matrix.rows = 1;
  matrix.cols = matrix.scheme.group_size;
  matrix.global_scale = global_scale_for(matrix.scheme, tensor_amax);
  matrix.input_global_scale = global_scale_for(matrix.scheme, 1.0F);
  std::vector<float> w(static_cast<size_t>(matrix.cols), 0.0F);
  w[0] = 0.1F;
  w[1] = -0.03F;
  matrix.codes.resize(w.size() / 2);
  matrix.scales.resize(1);
  WorkedGroup group;
  EXPECT_OK(search_scales(w.data(), 1, matrix.cols, matrix.scheme, matrix.global_scale,
                          {.search = ScaleSearch::kAbsmax}, matrix.scales.data(), &group.effective,
                          serial));
  EXPECT_OK(round_rows(w.data(), 1, matrix.cols, matrix.scheme, &group.effective,
                       matrix.codes.data(), serial));
  MemorySource file;
  auto tensors = kLayout.encode("m", Activations::kA4, std::move(matrix));
  EXPECT_OK(tensors);
  group.codes = (*tensors)[0].bytes[0];
  group.scale = (*tensors)[1].bytes[0];
  for (StoredTensor& tensor : *tensors) {
    file.add(std::move(tensor));
  }
  const auto back = kLayout.decode("m", scheme(format), file);
  EXPECT_OK(back);
  group.decoded.resize(w.size());
  EXPECT_OK(dequantize_rows(*back, 0, 1, group.decoded.data()));
  return group;
}

TEST(FpQuant, WorkedGroupOfMxfp4) {
  const WorkedGroup group = work(Format::kMxfp4, 0.1F);
  EXPECT_EQ(group.scale, 123);
  EXPECT_EQ(group.codes, 0xB6);
  EXPECT_EQ(group.effective, 0x1p-4F / 3.0F);
  EXPECT_NEAR(group.decoded[0], 4 * 0.0208333, 1e-6);
  EXPECT_NEAR(group.decoded[1], -1.5 * 0.0208333, 1e-6);
}

TEST(FpQuant, WorkedGroupOfNvfp4) {
  EXPECT_EQ(global_scale_for(scheme(Format::kNvfp4), 0.5F), 5376.0F);
  const WorkedGroup group = work(Format::kNvfp4, 0.5F);
  EXPECT_EQ(group.scale, 0x6B);
  EXPECT_EQ(group.codes, 0xC7);
  EXPECT_EQ(group.effective, 88.0F / 5376.0F);
  EXPECT_NEAR(group.decoded[0], 6 * 0.0163690, 1e-6);
  EXPECT_NEAR(group.decoded[1], -2 * 0.0163690, 1e-6);
}

TEST(FpQuant, EveryModuleHasItsMatrix) {
  const QuantizationInfo info = testing::small_info(testing::small_fp_quant(Format::kNvfp4));
  const std::vector<RotationTensor> matrices = kLayout.rotation_tensors(info);
  ASSERT_EQ(matrices.size(), info.modules.size());
  for (size_t m = 0; m < matrices.size(); ++m) {
    const StoredTensor& tensor = matrices[m].tensor;
    EXPECT_EQ(matrices[m].module, info.modules[m].name);
    EXPECT_EQ(
        tensor.spec,
        (TensorSpec{info.modules[m].name + ".forward_hadamard_matrix", DType::kBf16, {32, 32}}));
    std::vector<uint16_t> entries(32 * 32);
    std::memcpy(entries.data(), tensor.bytes.data(), tensor.bytes.size());
    const float entry = bf16_to_f32(f32_to_bf16(1.0F / std::sqrt(32.0F)));
    for (size_t i = 0; i < 32; ++i) {
      for (size_t j = 0; j < 32; ++j) {
        // Sylvester's recursion, written as such: a quarter repeats, the last one is negated.
        float sign = 1.0F;
        for (size_t half = 16; half > 0; half /= 2) {
          sign = (i & half) != 0 && (j & half) != 0 ? -sign : sign;
        }
        EXPECT_EQ(bf16_to_f32(entries[i * 32 + j]), sign * entry) << i << ", " << j;
      }
    }
  }
}

}  // namespace
}  // namespace rotor
