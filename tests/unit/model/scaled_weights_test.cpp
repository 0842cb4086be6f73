#include "model/scaled_weights.h"

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

/// The same with other scales, of zeros.
std::vector<TensorSpec> with_scales(const TensorSpec& scales) {
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.back() = scales;
  return tensors;
}

std::string named(const char* ending) {
  return std::string(kWeight) + ending;
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

TEST(ScaledWeights, AMatrixIsItsCodesTimesTheScalesOfItsBlocks) {
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

TEST(ScaledWeights, AnyPieceIsThatOfTheWhole) {
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

TEST(ScaledWeights, ReadsBlocksOfPowersOfTwo) {
  const TensorSpec rows[] = {
      {named("_scale_inv"), DType::kF8E8M0, {3, 3}},
      {named("_scale"), DType::kU8, {3, 3}},
      {"model.layers.0.mlp.gate_proj.scale", DType::kF8E8M0, {3, 3}},
  };
  for (const TensorSpec& scales : rows) {
    const TemporaryDirectory directory;
    const auto files = open(directory, fp8_config(), with_scales(scales));
    ASSERT_OK(files);
    EXPECT_EQ(files->weights->find(scales.name), nullptr) << scales.name;
    EXPECT_TRUE(files->extra_tensors.empty());
    EXPECT_OK(read_tensor(*files->weights, kWeight));
  }
}

TEST(ScaledWeights, ScalesOfInputsAndCachesAreLeftOut) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = fp8_tensors();
  const std::vector<std::string> left_out = {"model.layers.0.mlp.gate_proj.input_scale",
                                             "model.layers.0.self_attn.k_scale",
                                             "model.layers.0.self_attn.v_scale"};
  for (const std::string& name : left_out) {
    tensors.push_back({name, DType::kF32, {1}});
  }
  const auto files = open(directory, fp8_config(), tensors);
  ASSERT_OK(files);
  EXPECT_EQ(files->left_out, left_out);
  EXPECT_TRUE(files->extra_tensors.empty());
  EXPECT_EQ(files->weights->find(left_out[0]), nullptr);
}

TEST(ScaledWeights, RefusesTwoSetsOfScales) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.push_back({named("_scale"), DType::kF32, {1}});
  EXPECT_FAILS(open(directory, fp8_config(), tensors), Code::kInvalidArgument, "BAD_CHECKPOINT",
               "weight_scale");
}

TEST(ScaledWeights, RefusesWeightsWithoutScalesAndScalesWithoutWeights) {
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

TEST(ScaledWeights, RefusesScalesThatAreNotOneABlock) {
  const TemporaryDirectory directory;
  EXPECT_FAILS(open(directory, fp8_config({4, 4}), fp8_tensors()), Code::kInvalidArgument,
               "BAD_TENSOR_SHAPE", "need F32 [3, 2]");
  const TemporaryDirectory plain;
  EXPECT_FAILS(open(plain, fp8_config(nullptr), fp8_tensors()), Code::kInvalidArgument,
               "BAD_TENSOR_SHAPE", "need F32 [1, 1] or F32 [12, 1]");
  const TemporaryDirectory other;
  std::vector<TensorSpec> tensors = fp8_tensors();
  tensors.back().dtype = DType::kI32;
  EXPECT_FAILS(open(other, fp8_config(), tensors), Code::kInvalidArgument, "BAD_TENSOR_DTYPE",
               kScales);
}

TEST(ScaledWeights, RefusesScalesThatTwoGroupsWouldHave) {
  const auto with_blocks = [](const json& other) {
    json config = small_config();
    config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                     {"format", "float-quantized"}};
    for (const json& block : {json({5, 3}), other}) {
      const std::string name = block.dump();
      config["quantization_config"]["config_groups"][name]["weights"] = {
          {"type", "float"}, {"strategy", "block"}, {"block_structure", block}};
    }
    return config;
  };
  const TemporaryDirectory directory;
  EXPECT_FAILS(open(directory, with_blocks({4, 3}), fp8_tensors()), Code::kInvalidArgument,
               "BAD_TENSOR_SHAPE", "two groups");
  const TemporaryDirectory other;
  EXPECT_OK(open(other, with_blocks({12, 3}), fp8_tensors()));
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

TEST(ScaledWeights, ScalesMayBeThoseOfRowsOrOfTheWholeMatrix) {
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

TEST(ScaledWeights, BlocksOfCompressedTensorsAreThoseOfOthers) {
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

TEST(ScaledWeights, RefusesOtherTensorsInFp8) {
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

constexpr const char* kModule = "model.layers.0.mlp.down_proj";  // [8, 32]

/// The small model with inner size 32 and one matrix in packed codes of the given parts.
Result<ModelFiles> open_packed(const TemporaryDirectory& directory, const json& group,
                               const std::vector<TensorSpec>& parts) {
  json config = small_config();
  config["intermediate_size"] = 32;
  config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                   {"config_groups", {{"group_0", group}}}};
  std::vector<TensorSpec> tensors = small_tensors();
  for (TensorSpec& tensor : tensors) {
    std::replace(tensor.shape.begin(), tensor.shape.end(), int64_t{12}, int64_t{32});
  }
  std::erase_if(tensors, [](const TensorSpec& tensor) {
    return tensor.name == std::string(kModule) + ".weight";
  });
  for (const TensorSpec& part : parts) {
    tensors.push_back({kModule + part.name, part.dtype, part.shape});
  }
  return open(directory, config, tensors);
}

const json kInt4 = {{"format", "pack-quantized"},
                    {"weights", {{"num_bits", 4}, {"type", "int"}, {"group_size", 16}}}};
const json kNvfp4 = {{"format", "nvfp4-pack-quantized"},
                     {"weights", {{"num_bits", 4}, {"strategy", "tensor_group"}}}};
const json kMxfp4 = {{"format", "mxfp4-pack-quantized"}, {"weights", {{"num_bits", 4}}}};

TEST(ScaledWeights, FindsPackedCodes) {
  const struct {
    const json& group;
    Format format;
    std::vector<TensorSpec> parts;
  } rows[] = {
      {kInt4,
       Format::kInt4,
       {{".weight_packed", DType::kI32, {8, 4}}, {".weight_scale", DType::kBf16, {8, 2}}}},
      {kNvfp4,
       Format::kNvfp4,
       {{".weight_packed", DType::kU8, {8, 16}},
        {".weight_scale", DType::kF8E4M3, {8, 2}},
        {".weight_global_scale", DType::kF32, {1}},
        {".input_global_scale", DType::kF32, {1}}}},
      {kMxfp4,
       Format::kMxfp4,
       {{".weight_packed", DType::kU8, {8, 16}}, {".weight_scale", DType::kU8, {8, 1}}}},
  };
  for (const auto& row : rows) {
    const TemporaryDirectory directory;
    const auto files = open_packed(directory, row.group, row.parts);
    ASSERT_OK(files);
    const std::string name = std::string(kModule) + ".weight";
    ASSERT_NE(files->weights->find(name), nullptr);
    EXPECT_EQ(*files->weights->find(name), (TensorSpec{name, DType::kBf16, {8, 32}}));
    ASSERT_NE(files->weights->decoder_of(name), nullptr);
    EXPECT_EQ(files->weights->decoder_of(name)->four_bit_format(), row.format);
    EXPECT_TRUE(files->extra_tensors.empty());
  }
}

TEST(ScaledWeights, RefusesPackedCodesBesideTheirRules) {
  const auto fails = [](const json& group, const std::vector<TensorSpec>& parts, const char* reason,
                        const char* words) {
    const TemporaryDirectory directory;
    EXPECT_FAILS(open_packed(directory, group, parts), Code::kInvalidArgument, reason, words);
  };
  const TensorSpec codes{".weight_packed", DType::kI32, {8, 4}};
  const TensorSpec scales{".weight_scale", DType::kBf16, {8, 2}};
  fails(kInt4, {codes}, "MISSING_SCALES", "down_proj.weight_scale are not there");
  fails(kInt4, {scales}, "MISSING_SCALES", "down_proj.weight, and that is not there");
  fails(kInt4, {codes, {".weight_scale", DType::kBf16, {8, 4}}}, "BAD_TENSOR_SHAPE",
        "need BF16 [8, 2]");
  fails(kInt4, {codes, {".weight_scale", DType::kF8E4M3, {8, 2}}}, "BAD_TENSOR_DTYPE", "int4");
  fails(kInt4, {{".weight_packed", DType::kI8, {8, 4}}, scales}, "BAD_TENSOR_DTYPE", "I8");
  fails(kInt4, {codes, scales, {".weight_zero_point", DType::kI32, {1, 2}}}, "BAD_CHECKPOINT",
        "zero points");
  fails(kInt4, {codes, scales, {".weight_g_idx", DType::kI32, {32}}}, "BAD_CHECKPOINT",
        "weight_g_idx");
  fails(kInt4, {codes, scales, {".weight_shape", DType::kF32, {2}}}, "BAD_TENSOR_SHAPE",
        "2 of I32");
  fails(kInt4, {codes, scales, {".weight_scale_inv", DType::kF32, {1}}}, "MISSING_SCALES",
        "weight_scale_inv");
  fails(kInt4, {codes, scales, {".weight_global_scale", DType::kF32, {1}}}, "BAD_TENSOR_DTYPE",
        "global scale");
  fails(kMxfp4, {codes, scales}, "BAD_TENSOR_SHAPE", "speaks of no weights in int4");
}

TEST(StoredForm, TheKeyIsLeftOutOfAConfigThatIsWrittenAnew) {
  const auto text = without_source_quantization(fp8_config().dump());
  ASSERT_OK(text);
  EXPECT_EQ(json::parse(*text), small_config());
}

}  // namespace
}  // namespace rotor
