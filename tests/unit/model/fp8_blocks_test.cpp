#include "model/fp8_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "model/model_files.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "quant/format/bf16.h"
#include "quant/format/e4m3.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::small_config;
using testing::small_tensors;
using testing::TemporaryDirectory;

constexpr const char* kWeight = "model.layers.0.mlp.gate_proj.weight";  // [12, 8]
constexpr const char* kScales = "model.layers.0.mlp.gate_proj.weight_scale_inv";

json fp8_config(const json& block = {5, 3}) {
  json config = small_config();
  config["quantization_config"] = {
      {"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", block}};
  return config;
}

/// The small model with one matrix in FP8: codes 0, 1, 2, ...; scales 1/2, 3/2, 5/2, ...
std::vector<TensorSpec> fp8_tensors() {
  std::vector<TensorSpec> tensors = small_tensors();
  for (TensorSpec& tensor : tensors) {
    tensor.dtype = tensor.name == kWeight ? DType::kF8E4M3 : tensor.dtype;
  }
  tensors.push_back({kScales, DType::kF32, {3, 3}});
  return tensors;
}

Result<ModelFiles> open(const TemporaryDirectory& directory, const json& config,
                        const std::vector<TensorSpec>& tensors) {
  directory.put("config.json", config.dump());
  auto writer =
      SafetensorsWriter::create(posix_file_system(), directory / "model.safetensors", tensors)
          .value();
  for (const TensorSpec& tensor : tensors) {
    std::vector<uint8_t> bytes(static_cast<size_t>(tensor.byte_size()));
    for (size_t i = 0; tensor.name == kWeight && i < bytes.size(); ++i) {
      bytes[i] = static_cast<uint8_t>(i);
    }
    for (size_t i = 0; tensor.name == kScales && i < bytes.size() / sizeof(float); ++i) {
      const float scale = 0.5F + static_cast<float>(i);
      std::memcpy(bytes.data() + i * sizeof(float), &scale, sizeof(float));
    }
    EXPECT_OK(writer->write(tensor.name, 0, bytes.data(), bytes.size()));
  }
  EXPECT_OK(writer->finish());
  return open_model(posix_file_system(), directory.path());
}

TEST(Fp8Blocks, AMatrixIsItsCodesTimesTheScalesOfItsBlocks) {
  const TemporaryDirectory directory;
  const auto files = open(directory, fp8_config(), fp8_tensors());
  ASSERT_OK(files);
  EXPECT_TRUE(files->extra_tensors.empty());  // scales are no tensors of the model
  EXPECT_EQ(files->weights->find(kScales), nullptr);
  ASSERT_NE(files->weights->find(kWeight), nullptr);
  EXPECT_EQ(*files->weights->find(kWeight), (TensorSpec{kWeight, DType::kBf16, {12, 8}}));
  const auto bytes = read_tensor(*files->weights, kWeight);
  ASSERT_OK(bytes);
  for (int64_t row = 0; row < 12; ++row) {
    for (int64_t col = 0; col < 8; ++col) {
      uint16_t bits = 0;
      std::memcpy(&bits, bytes->data() + (row * 8 + col) * 2, 2);
      const float scale = 0.5F + static_cast<float>(row / 5 * 3 + col / 3);
      const float code = e4m3_decode(static_cast<uint8_t>(row * 8 + col));
      ASSERT_EQ(bf16_to_f32(bits), bf16_to_f32(f32_to_bf16(code * scale)))
          << "row " << row << " column " << col;
    }
  }
}

TEST(Fp8Blocks, AnyPieceIsThatOfTheWhole) {
  const TemporaryDirectory directory;
  const auto files = open(directory, fp8_config(), fp8_tensors());
  ASSERT_OK(files);
  const std::vector<uint8_t> whole = read_tensor(*files->weights, kWeight).value();
  for (size_t offset = 0; offset <= whole.size(); offset += 7) {
    for (size_t n = 0; offset + n <= whole.size(); n += 5) {
      std::vector<uint8_t> piece(n);
      ASSERT_OK(
          files->weights->read(kWeight, static_cast<int64_t>(offset), piece.data(), piece.size()));
      ASSERT_TRUE(
          std::equal(piece.begin(), piece.end(), whole.begin() + static_cast<int64_t>(offset)))
          << n << " bytes from " << offset;
    }
  }
  uint8_t byte = 0;
  EXPECT_FALSE(files->weights->read(kWeight, static_cast<int64_t>(whole.size()), &byte, 1).ok());
}

TEST(Fp8Blocks, RefusesWeightsWithoutScalesAndScalesWithoutWeights) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.pop_back();
  EXPECT_FAILS(open(directory, fp8_config(), tensors), Code::kInvalidArgument, "MISSING_SCALES",
               kScales);
  const TemporaryDirectory other;
  tensors = small_tensors();
  tensors.push_back({kScales, DType::kF32, {3, 3}});
  EXPECT_FAILS(open(other, fp8_config(), tensors), Code::kInvalidArgument, "MISSING_SCALES",
               "BF16 [12, 8] and not F8_E4M3");
}

TEST(Fp8Blocks, RefusesScalesThatAreNotOneABlock) {
  const TemporaryDirectory directory;
  EXPECT_FAILS(open(directory, fp8_config({4, 4}), fp8_tensors()), Code::kInvalidArgument,
               "BAD_TENSOR_SHAPE", "need F32 [3, 2]");
  const TemporaryDirectory other;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.back().dtype = DType::kI32;
  EXPECT_FAILS(open(other, fp8_config(), tensors), Code::kInvalidArgument, "BAD_TENSOR_DTYPE",
               kScales);
}

TEST(Fp8Blocks, RefusesOtherTensorsInFp8) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = fp8_tensors();
  for (TensorSpec& tensor : tensors) {
    if (tensor.name == "model.norm.weight") {
      tensor.dtype = DType::kF8E4M3;
    }
  }
  EXPECT_FAILS(open(directory, fp8_config(), tensors), Code::kInvalidArgument, "BAD_TENSOR_DTYPE",
               "model.norm.weight");
}

TEST(Fp8Blocks, RefusesConfigsOfOtherForms) {
  const TemporaryDirectory directory;
  const auto fails = [&](const char* key, const json& value, const char* named) {
    json config = fp8_config();
    config["quantization_config"][key] = value;
    EXPECT_FAILS(testing::parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", named);
  };
  fails("fmt", "e5m2", "quantization_config.fmt");
  fails("weight_block_size", nullptr, "quantization_config.weight_block_size");
  fails("weight_block_size", {128}, "quantization_config.weight_block_size");
  fails("weight_block_size", {128, 0}, "quantization_config.weight_block_size");
  fails("weight_block_size", {128, "128"}, "quantization_config.weight_block_size");
  fails("weight_block_size", {128, 128, 128}, "quantization_config.weight_block_size");
}

TEST(Fp8Blocks, TheKeyIsLeftOutOfAConfigThatIsWrittenAnew) {
  const auto text = without_source_quantization(fp8_config().dump());
  ASSERT_OK(text);
  EXPECT_EQ(json::parse(*text), small_config());
}

}  // namespace
}  // namespace rotor
