#include "quant/checkpoint/compressed_tensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "quant/checkpoint/memory_source.h"
#include "quant/format/codes.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

const CompressedTensorsLayout kLayout;

struct Case {
  Format format;
  Activations activations;
};

class CompressedTensors : public ::testing::TestWithParam<Case> {
 protected:
  QuantizationInfo info() const {
    return testing::small_info(
        {.format = GetParam().format, .activations = GetParam().activations});
  }
};

MemorySource store(std::vector<StoredTensor> tensors) {
  MemorySource source;
  for (StoredTensor& tensor : tensors) {
    source.add(std::move(tensor));
  }
  return source;
}

TEST_P(CompressedTensors, DecodesWhatItEncoded) {
  const QuantizedModule module = info().modules[1];
  const QuantizedMatrix matrix = testing::small_matrix(module, info());
  auto tensors = kLayout.encode(module.name, GetParam().activations, QuantizedMatrix(matrix));
  ASSERT_OK(tensors);
  const auto specs = kLayout.tensor_specs(module, info().scheme, GetParam().activations);
  ASSERT_EQ(tensors->size(), specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    EXPECT_EQ((*tensors)[i].spec, specs[i]);
    EXPECT_EQ(std::ssize((*tensors)[i].bytes), specs[i].byte_size());
  }
  const MemorySource source = store(std::move(*tensors));
  const auto back = kLayout.decode(module.name, info().scheme, source);
  ASSERT_OK(back);
  EXPECT_EQ(back->scheme, matrix.scheme);
  EXPECT_EQ(back->rows, matrix.rows);
  EXPECT_EQ(back->cols, matrix.cols);
  EXPECT_EQ(back->codes, matrix.codes);
  EXPECT_EQ(back->scales, matrix.scales);
  EXPECT_EQ(back->global_scale, matrix.global_scale);
  EXPECT_EQ(back->input_global_scale, matrix.input_global_scale);
  const auto part = kLayout.decode_rows(module.name, info().scheme, source, 100, 28);
  ASSERT_OK(part);
  EXPECT_TRUE(std::equal(part->codes.begin(), part->codes.end(),
                         matrix.codes.end() - std::ssize(part->codes)));
  EXPECT_FALSE(kLayout.decode_rows(module.name, info().scheme, source, 100, 29).ok());
}

TEST_P(CompressedTensors, NamesMissingAndMisshapenTensors) {
  const QuantizedModule module = info().modules[1];
  const auto tensors =
      kLayout.encode(module.name, GetParam().activations, testing::small_matrix(module, info()));
  ASSERT_OK(tensors);
  for (const StoredTensor& victim : *tensors) {
    if (victim.spec.name.ends_with(".input_global_scale")) {
      continue;  // absent with a16
    }
    MemorySource without;
    MemorySource misshapen;
    MemorySource mistyped;
    for (StoredTensor tensor : *tensors) {
      if (tensor.spec.name == victim.spec.name) {
        StoredTensor other = tensor;
        other.spec.shape.push_back(1);
        misshapen.add(other);
        tensor.spec.dtype = DType::kI8;
        mistyped.add(tensor);
      } else {
        without.add(tensor);
        misshapen.add(tensor);
        mistyped.add(tensor);
      }
    }
    for (const MemorySource* source : {&without, &misshapen, &mistyped}) {
      EXPECT_FAILS(kLayout.decode(module.name, info().scheme, *source), Code::kDataLoss,
                   "BAD_CHECKPOINT", victim.spec.name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, CompressedTensors,
                         ::testing::Values(Case{Format::kNvfp4, Activations::kA16},
                                           Case{Format::kNvfp4, Activations::kA4},
                                           Case{Format::kMxfp4, Activations::kA16},
                                           Case{Format::kMxfp4, Activations::kA4},
                                           Case{Format::kInt4, Activations::kA16}));

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

TEST(CompressedTensors, RefusesMatricesThatDoNotFit) {
  const QuantizationInfo info = testing::small_info({.activations = Activations::kA4});
  const QuantizedModule& module = info.modules[1];
  const auto refused = [&](const auto& change) {
    QuantizedMatrix matrix = testing::small_matrix(module, info);
    change(matrix);
    const auto tensors = kLayout.encode(module.name, Activations::kA4, std::move(matrix));
    EXPECT_EQ(tensors.status().code(), Code::kInternal);
    EXPECT_NE(tensors.status().message().find(module.name), std::string::npos);
  };
  refused([](QuantizedMatrix& m) { m.codes.pop_back(); });
  refused([](QuantizedMatrix& m) { m.scales.push_back(1); });
  refused([](QuantizedMatrix& m) { m.cols = 250; });
  refused([](QuantizedMatrix& m) { m.global_scale = 0.0F; });
  refused([](QuantizedMatrix& m) { m.global_scale = std::numeric_limits<float>::infinity(); });
  refused([](QuantizedMatrix& m) { m.input_global_scale = std::nanf(""); });
}

TEST(CompressedTensors, TellsCodesByTheirName) {
  EXPECT_EQ(kLayout.module_of_codes("model.q_proj.weight_packed"), "model.q_proj");
  EXPECT_EQ(kLayout.module_of_codes("model.q_proj.weight_scale"), "");
}

}  // namespace
}  // namespace rotor
