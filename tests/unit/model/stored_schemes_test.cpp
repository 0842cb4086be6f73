#include "model/stored_schemes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/stored_form.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using Schemes = std::vector<WeightScheme>;

Result<SourceQuantization> parse(const json& quantization, bool allow_quantized = false) {
  json config = testing::small_config();
  config["quantization_config"] = quantization;
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig parsed,
                         parse_model_config(config.dump(), "M/config.json", allow_quantized));
  return parsed.source_quantization;
}

WeightScheme fp8(int64_t rows, int64_t cols) {
  return {{}, rows, cols};
}

json group(const json& weights, const json& keys = json::object()) {
  json made = {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}};
  made.update(keys);
  return made;
}

json compressed(const std::string& format, const json& groups) {
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"config_groups", groups},
          {"ignore", {"lm_head", "re:.*self_attn.*"}},
          {"kv_cache_scheme", nullptr},
          {"sparsity_config", json::object()},
          {"transform_config", json::object()}};
}

/// One group of weights in FP8 as llm-compressor writes it, with other values of `keys`.
json float_quantized(const json& keys) {
  json weights = {{"num_bits", 8},      {"type", "float"},       {"symmetric", true},
                  {"dynamic", false},   {"group_size", nullptr}, {"block_structure", nullptr},
                  {"actorder", nullptr}};
  weights.update(keys);
  return compressed("float-quantized", {{"group_0", group(weights)}});
}

TEST(StoredSchemes, ReadsFp8WithAndWithoutBlocks) {
  const auto blocks = parse({{"quant_method", "fp8"},
                             {"fmt", "e4m3"},
                             {"scale_fmt", "ue8m0"},
                             {"activation_scheme", "dynamic"},
                             {"weight_block_size", {128, 64}}});
  ASSERT_OK(blocks);
  EXPECT_EQ(blocks->form, StoredForm::kScaledWeights);
  EXPECT_EQ(blocks->schemes, Schemes{fp8(128, 64)});
  for (const json& config :
       {json{{"quant_method", "fp8"}, {"activation_scheme", "static"}},
        json{{"quant_method", "fp8"}, {"weight_block_size", nullptr}},
        json{{"quant_method", "fbgemm_fp8"}, {"activation_scale_ub", 1200.0}}}) {
    const auto plain = parse(config);
    ASSERT_OK(plain);
    EXPECT_EQ(plain->schemes, (Schemes{fp8(0, 0), fp8(1, 0)})) << config;
  }
}

TEST(StoredSchemes, ReadsTheStrategiesOfCompressedTensors) {
  const auto schemes = [](const json& keys) {
    const auto parsed = parse(float_quantized(keys));
    EXPECT_OK(parsed);
    return parsed.ok() ? parsed->schemes : Schemes{};
  };
  EXPECT_EQ(schemes({{"strategy", "tensor"}}), Schemes{fp8(0, 0)});
  EXPECT_EQ(schemes(json::object()), Schemes{fp8(0, 0)});
  EXPECT_EQ(schemes({{"strategy", "channel"}}), Schemes{fp8(1, 0)});
  EXPECT_EQ(schemes({{"strategy", "block"}, {"block_structure", {128, 128}}}),
            Schemes{fp8(128, 128)});
  EXPECT_EQ(schemes({{"strategy", "group"}, {"group_size", 64}}), Schemes{fp8(1, 64)});
  EXPECT_EQ(schemes({{"group_size", -1}}), Schemes{fp8(1, 0)});
}

TEST(StoredSchemes, ReadsEveryGroupOnce) {
  const json weights = {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}};
  const json mx = {{"num_bits", 8}, {"type", "float"}, {"strategy", "group"}, {"group_size", 32}};
  const auto parsed = parse(
      compressed("mixed-precision", {{"group_0", group(weights, {{"format", "naive-quantized"}})},
                                     {"group_1", group(weights, {{"format", "float-quantized"}})},
                                     {"group_2", group(nullptr)},
                                     {"group_3", group(mx, {{"format", "mxfp8-quantized"}})}}));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->schemes, (Schemes{fp8(1, 0), fp8(1, 32)}));
}

TEST(StoredSchemes, ReadsPackedCodes) {
  const auto read = [](const std::string& format, const json& weights, const json& inputs) {
    const auto parsed =
        parse(compressed(format, {{"group_0", group(weights, {{"input_activations", inputs}})}}));
    EXPECT_OK(parsed);
    return parsed.ok() ? *parsed : SourceQuantization();
  };
  // As Kimi K2 Thinking has it.
  const json int4 = {{"num_bits", 4},       {"type", "int"},    {"symmetric", true},
                     {"strategy", "group"}, {"group_size", 32}, {"actorder", nullptr}};
  EXPECT_EQ(read("pack-quantized", int4, nullptr).schemes, (Schemes{{Format::kInt4, 1, 32}}));
  const json fp4 = {{"num_bits", 4},
                    {"type", "float"},
                    {"symmetric", true},
                    {"strategy", "tensor_group"},
                    {"group_size", 16}};
  const SourceQuantization nvfp4 = read("nvfp4-pack-quantized", fp4, fp4);
  EXPECT_EQ(nvfp4.schemes, (Schemes{{Format::kNvfp4, 1, 16}}));
  EXPECT_TRUE(nvfp4.four_bit_inputs);
  const SourceQuantization mxfp4 =
      read("mxfp4-pack-quantized", {{"num_bits", 4}, {"group_size", 32}}, {{"num_bits", 8}});
  EXPECT_EQ(mxfp4.schemes, (Schemes{{Format::kMxfp4, 1, 32}}));
  EXPECT_FALSE(mxfp4.four_bit_inputs);
  EXPECT_EQ(
      read("pack-quantized", {{"num_bits", 4}, {"type", "int"}, {"strategy", "channel"}}, nullptr)
          .schemes,
      (Schemes{{Format::kInt4, 1, 0}}));
}

TEST(StoredSchemes, RefusesWhatIsNotReadByKeyAndValue) {
  const auto fails = [](const json& config, const std::string& named) {
    EXPECT_FAILS(parse(config), Code::kInvalidArgument, "BAD_CONFIG", named);
    EXPECT_FAILS(parse(config), Code::kInvalidArgument, "BAD_CONFIG", "M/config.json");
    EXPECT_OK(parse(config, true));
  };
  const std::string weights = "quantization_config.config_groups.group_0.weights.";
  fails(float_quantized({{"num_bits", 4}}), weights + "num_bits\" is 4");
  fails(float_quantized({{"type", "int"}}), weights + "type\" is \"int\"");
  fails(float_quantized({{"symmetric", false}}), weights + "symmetric\" is false");
  fails(float_quantized({{"actorder", "group"}}), weights + "actorder\" is \"group\"");
  fails(float_quantized({{"strategy", "token"}}), weights + "strategy\" is \"token\"");
  fails(float_quantized({{"strategy", "block"}}), weights + "block_structure");
  fails(float_quantized({{"strategy", "group"}}), weights + "group_size");
  fails(compressed("int-quantized", {{"group_0", group({{"num_bits", 8}})}}),
        "quantization_config.format\" is \"int-quantized\"");
  fails(compressed("float-quantized",
                   {{"group_0", group({{"num_bits", 8}}, {{"format", "marlin-24"}})}}),
        "quantization_config.config_groups.group_0.format\" is \"marlin-24\"");
  fails(compressed("pack-quantized", {{"group_0", group({{"num_bits", 8}, {"type", "int"}})}}),
        weights + "num_bits\" is 8");
  fails(compressed("nvfp4-pack-quantized",
                   {{"group_0", group({{"num_bits", 4}, {"group_size", 32}})}}),
        weights + "strategy");
  fails(compressed("mxfp4-pack-quantized",
                   {{"group_0", group({{"num_bits", 4}, {"group_size", 16}})}}),
        weights + "group_size\" is 16");
  fails(compressed("float-quantized", json::object()), "quantization_config.config_groups");
  fails(compressed("float-quantized", {{"FP8", {"Linear"}}}), "config_groups.FP8");
  json rotated = float_quantized(json::object());
  rotated["transform_config"] = {{"config_groups", {{"R1", json::object()}}}};
  fails(rotated, "quantization_config.transform_config");
  json sparse = float_quantized(json::object());
  sparse["sparsity_config"] = {{"format", "sparse-24-bitmask"}};
  fails(sparse, "quantization_config.sparsity_config");
}

TEST(StoredSchemes, RefusesFp8OfOtherKinds) {
  const auto fails = [](const char* key, const json& value) {
    json config = {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
    config[key] = value;
    EXPECT_FAILS(parse(config), Code::kInvalidArgument, "BAD_CONFIG",
                 std::string("quantization_config.") + key);
  };
  fails("fmt", "e5m2");
  fails("scale_fmt", "e4m3");
  fails("weight_block_size", {128});
  fails("weight_block_size", {128, 0});
  fails("weight_block_size", {128, "128"});
  fails("weight_block_size", {128, 128, 128});
}

TEST(StoredForm, IsReadOfTheTextPart) {
  const json fp8_config = {{"quant_method", "fp8"}};
  json config = {{"model_type", "llava"}, {"text_config", testing::small_config()}};
  config["text_config"]["quantization_config"] = fp8_config;
  const auto nested = testing::parse_config(config);
  ASSERT_OK(nested);
  EXPECT_EQ(nested->source_quantization.form, StoredForm::kScaledWeights);
  config["quantization_config"] = fp8_config;
  EXPECT_OK(testing::parse_config(config));
  config["quantization_config"] = {{"quant_method", "mxfp4"}};
  EXPECT_FAILS(testing::parse_config(config), Code::kInvalidArgument, "BAD_CONFIG",
               "text_config.quantization_config");

  const auto text = without_source_quantization(config.dump());
  ASSERT_OK(text);
  EXPECT_EQ(json::parse(*text),
            (json{{"model_type", "llava"}, {"text_config", testing::small_config()}}));
}

}  // namespace
}  // namespace rotor
