#include "quant/checkpoint/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/unit/quant/checkpoint/small_checkpoint.h"

namespace rotor {
namespace {

const CheckpointLayout& layout() {
  return find_layout(Layout::kCompressedTensors);
}

TEST(Layout, ConfigKeepsEveryKeyInItsOrder) {
  const auto text = layout().config_json(testing::kSmallConfig, testing::small_info({}));
  ASSERT_OK(text);
  auto config = nlohmann::ordered_json::parse(*text);
  EXPECT_TRUE((--config.end()).key() == "quantization_config");
  config.erase("quantization_config");
  EXPECT_EQ(config.dump(), nlohmann::ordered_json::parse(testing::kSmallConfig).dump());
  EXPECT_NE(text->find("1e-05"), std::string::npos);
}

TEST(Layout, RefusesSourcesThatAreQuantizedOrBroken) {
  const auto refused = [](const char* source, const char* reason) {
    EXPECT_FAILS(layout().config_json(source, testing::small_info({})), Code::kInvalidArgument,
                 reason, "config.json");
  };
  refused(R"({"quantization_config": {}})", "BAD_SOURCE");
  refused("[]", "BAD_SOURCE");
  refused("{", "BAD_JSON");
}

TEST(Layout, ParsesTheWholeConfig) {
  QuantizationInfo info = testing::small_info({.format = Format::kInt4, .rotation = 0});
  const auto text = layout().config_json(R"({"dtype": "float16"})", info);
  ASSERT_OK(text);
  const auto parsed = parse_quantization_config(*text, "config.json");
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->scheme.scale_dtype, DType::kF16);
  EXPECT_FAILS(parse_quantization_config("{}", "d/config.json"), Code::kNotFound, "NOT_QUANTIZED",
               "d/config.json");
  EXPECT_FAILS(parse_quantization_config(R"({"quantization_config": {"quant_method": "fp8"}})",
                                         "d/config.json"),
               Code::kNotFound, "NOT_QUANTIZED", "source model");
  for (const char* other : {R"({"quantization_config": {"quant_method": "gptq"}})",
                            R"({"quantization_config": {}})", R"({"quantization_config": 1})"}) {
    EXPECT_FAILS(parse_quantization_config(other, "config.json"), Code::kInvalidArgument,
                 "BAD_CONFIG", "quant_method");
  }
}

TEST(Layout, EveryKindIsFound) {
  for (const Layout kind : {Layout::kCompressedTensors, Layout::kFpQuant, Layout::kModelOpt}) {
    EXPECT_EQ(find_layout(kind).kind(), kind);
  }
}

TEST(Layout, CheckpointTensorsReplaceWeightsInPlace) {
  const QuantizationInfo info = testing::small_info({});
  const auto tensors = checkpoint_tensors(layout(), info, testing::small_source(info));
  ASSERT_OK(tensors);
  std::vector<std::string> names;
  for (const TensorSpec& tensor : *tensors) {
    names.push_back(tensor.name);
  }
  const auto q =
      std::find(names.begin(), names.end(), "model.layers.0.self_attn.q_proj.weight_packed");
  ASSERT_NE(q, names.end());
  EXPECT_EQ(std::vector<std::string>(q, q + 5),
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj.weight_packed",
                                      "model.layers.0.self_attn.q_proj.weight_scale",
                                      "model.layers.0.self_attn.q_proj.weight_global_scale",
                                      "model.layers.0.self_attn.q_proj.v_input.weight",
                                      "model.layers.0.self_attn.k_proj.weight_packed"}));
  EXPECT_EQ(names[0], "lm_head.weight");
  EXPECT_EQ(names.size(), 4 + 7 * 3 + 1U);
}

// faults.29
TEST(Layout, Faults29_MissingOrMisshapenSourceWeightsAreNamed) {
  const QuantizationInfo info = testing::small_info({});
  auto source = testing::small_source(info);
  source.back().shape = {256, 383};
  EXPECT_FAILS(checkpoint_tensors(layout(), info, source), Code::kInvalidArgument, "BAD_SOURCE",
               "down_proj.weight: BF16 [256, 383]");
  source.pop_back();
  EXPECT_FAILS(checkpoint_tensors(layout(), info, source), Code::kInvalidArgument, "BAD_SOURCE",
               "down_proj.weight: missing");
}

}  // namespace
}  // namespace rotor
