#include "model/fp8_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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
    const bool scales = tensor.name.find("_scale") != std::string::npos;
    const auto size = static_cast<size_t>(dtype_size(tensor.dtype));
    for (size_t i = 0; scales && i < bytes.size() / size; ++i) {
      const float scale = 0.5F + static_cast<float>(i);
      const uint16_t rounded = f32_to_bf16(scale);
      const auto power = static_cast<uint32_t>(127 + i);
      const void* from = tensor.dtype == DType::kF32    ? static_cast<const void*>(&scale)
                         : tensor.dtype == DType::kBf16 ? static_cast<const void*>(&rounded)
                                                        : &power;
      std::memcpy(bytes.data() + i * size, from, size);
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

json compressed_config(const json& weights) {
  json config = small_config();
  config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                   {"format", "float-quantized"},
                                   {"config_groups", {{"group_0", {{"weights", weights}}}}},
                                   {"kv_cache_scheme", nullptr}};
  return config;
}

struct Granularity {
  const char* scales;  // ending of their name
  json config;
  std::vector<int64_t> shape;
  DType dtype;
  int64_t rows;  // that share a scale, of 12
};

TEST(Fp8Blocks, ScalesMayBeThoseOfRowsOrOfTheWholeMatrix) {
  json plain = fp8_config();
  plain["quantization_config"].erase("weight_block_size");
  json fbgemm = plain;
  fbgemm["quantization_config"] = {{"quant_method", "fbgemm_fp8"}, {"activation_scale_ub", 1200.0}};
  json nothing = plain;
  nothing["quantization_config"]["weight_block_size"] = nullptr;
  const json channel = {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}};
  const json tensor = {{"num_bits", 8}, {"type", "float"}, {"strategy", "tensor"}};
  for (const Granularity& kind :
       {Granularity{"weight_scale_inv", nothing, {}, DType::kF32, 12},
        {"weight_scale", plain, {1}, DType::kF32, 12},
        {"weight_scale", fbgemm, {12, 1}, DType::kF32, 1},
        {"weight_scale", compressed_config(channel), {12, 1}, DType::kBf16, 1},
        {"weight_scale", compressed_config(channel), {12}, DType::kF32, 1},
        {"weight_scale", compressed_config(tensor), {1}, DType::kBf16, 12},
        {"weight_scale_inv", nothing, {12, 1}, DType::kF8E8M0, 1}}) {
    SCOPED_TRACE(std::string(kind.scales) + " " + kind.config["quantization_config"].dump());
    const TemporaryDirectory directory;
    std::vector<TensorSpec> tensors = fp8_tensors();
    const std::string stem = std::string(kWeight).substr(0, std::string(kWeight).rfind('.') + 1);
    tensors.back() = {stem + kind.scales, kind.dtype, kind.shape};
    for (const char* beside : {"input_scale", "activation_scale"}) {
      tensors.push_back({stem + beside, DType::kF32, {}});
    }
    const auto files = open(directory, kind.config, tensors);
    ASSERT_OK(files);
    EXPECT_TRUE(files->extra_tensors.empty());
    EXPECT_EQ(*files->weights->find(kWeight), (TensorSpec{kWeight, DType::kBf16, {12, 8}}));
    const auto bytes = read_tensor(*files->weights, kWeight);
    ASSERT_OK(bytes);
    for (int64_t row = 0; row < 12; ++row) {
      const auto place = static_cast<float>(row / kind.rows);
      const float scale =
          kind.dtype == DType::kF8E8M0 ? std::ldexp(1.0F, static_cast<int>(place)) : 0.5F + place;
      for (int64_t col = 0; col < 8; ++col) {
        uint16_t bits = 0;
        std::memcpy(&bits, bytes->data() + (row * 8 + col) * 2, 2);
        const float code = e4m3_decode(static_cast<uint8_t>(row * 8 + col));
        ASSERT_EQ(bf16_to_f32(bits), bf16_to_f32(f32_to_bf16(code * scale)))
            << "row " << row << " column " << col;
      }
    }
  }
}

TEST(Fp8Blocks, BlocksOfCompressedTensorsAreThoseOfOthers) {
  const json block = {
      {"num_bits", 8}, {"type", "float"}, {"strategy", "block"}, {"block_structure", {5, 3}}};
  const TemporaryDirectory theirs;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.back().name = std::string(kScales).substr(0, std::string(kScales).rfind("_inv"));
  const auto compressed = open(theirs, compressed_config(block), tensors);
  ASSERT_OK(compressed);
  const TemporaryDirectory directory;
  const auto plain = open(directory, fp8_config(), fp8_tensors());
  EXPECT_EQ(*read_tensor(*compressed->weights, kWeight), *read_tensor(*plain->weights, kWeight));
}

TEST(Fp8Blocks, RefusesScalesOfAnotherShape) {
  json config = fp8_config();
  config["quantization_config"].erase("weight_block_size");
  const TemporaryDirectory directory;
  EXPECT_FAILS(open(directory, config, fp8_tensors()), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "needs one scale, or one for each of its 12 rows");
  const TemporaryDirectory other;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.push_back({"model.layers.0.mlp.gate_proj.weight_scale", DType::kF32, {1}});
  EXPECT_FAILS(open(other, fp8_config(), tensors), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "besides");
}

TEST(Fp8Blocks, RefusesWhatOtherCompressedTensorsHold) {
  const auto fails = [&](const json& config, const char* named) {
    EXPECT_FAILS(testing::parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", named);
  };
  const json channel = {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}};
  json weights = channel;
  weights["num_bits"] = 4;
  fails(compressed_config(weights), "config_groups.group_0.weights.num_bits");
  weights = channel;
  weights["strategy"] = "group";
  fails(compressed_config(weights), "config_groups.group_0.weights.strategy");
  json config = compressed_config(channel);
  config["quantization_config"]["config_groups"] = json::object();
  fails(config, "quantization_config.config_groups");
  config = compressed_config(channel);
  config["quantization_config"]["kv_cache_scheme"] = channel;
  fails(config, "quantization_config.kv_cache_scheme");
  config = compressed_config(channel);
  config["quantization_config"]["config_groups"]["group_1"]["weights"] = {
      {"num_bits", 8}, {"type", "float"}, {"strategy", "block"}, {"block_structure", {5, 3}}};
  fails(config, "all groups must have blocks of one size");
  config = compressed_config(channel);
  config["quantization_config"]["format"] = "int-quantized";
  EXPECT_FAILS(testing::parse_config(config), Code::kInvalidArgument, "ALREADY_QUANTIZED",
               "float-quantized");
}

TEST(Fp8Blocks, RefusesConfigsOfOtherForms) {
  const TemporaryDirectory directory;
  const auto fails = [&](const char* key, const json& value, const char* named) {
    json config = fp8_config();
    config["quantization_config"][key] = value;
    EXPECT_FAILS(testing::parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", named);
  };
  fails("fmt", "e5m2", "quantization_config.fmt");
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
