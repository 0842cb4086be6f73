// config.json of gpt-oss: as it was released, and what is refused of it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "model/config.h"
#include "model/model_files.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::parse_config;

json released(const json& keys = json::object()) {
  json config = {{"architectures", {"GptOssForCausalLM"}},
                 {"attention_bias", true},
                 {"head_dim", 64},
                 {"hidden_act", "silu"},
                 {"hidden_size", 2880},
                 {"intermediate_size", 2880},
                 {"layer_types",
                  {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}},
                 {"max_position_embeddings", 131072},
                 {"model_type", "gpt_oss"},
                 {"num_attention_heads", 64},
                 {"num_experts_per_tok", 4},
                 {"num_hidden_layers", 4},
                 {"num_key_value_heads", 8},
                 {"num_local_experts", 32},
                 {"quantization_config", {{"quant_method", "mxfp4"}}},
                 {"rms_norm_eps", 1e-5},
                 {"rope_scaling",
                  {{"beta_fast", 32.0},
                   {"beta_slow", 1.0},
                   {"factor", 32.0},
                   {"original_max_position_embeddings", 4096},
                   {"rope_type", "yarn"},
                   {"truncate", false}}},
                 {"rope_theta", 150000},
                 {"sliding_window", 128},
                 {"swiglu_limit", 7.0},
                 {"tie_word_embeddings", false},
                 {"vocab_size", 201088}};
  config.update(keys);
  return config;
}

TEST(GptOssConfig, IsReadAsReleased) {
  const auto config = parse_config(released());
  ASSERT_OK(config);
  EXPECT_EQ(config->source_quantization.form, StoredForm::kMxfp4Experts);
  EXPECT_EQ(config->dtype, DType::kBf16) << "it names none";
  EXPECT_TRUE(config->attention_bias);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->windows, (std::vector<int64_t>{128, 0, 128, 0}));
  EXPECT_EQ(config->activation, (GatedActivation{ActivationKind::kClampedSwiglu, 1.702F, 7.0F}));
  EXPECT_EQ(config->routing, (RoutingRule{32, 4, true}));
  EXPECT_EQ(config->expert_features, 2880);
  EXPECT_EQ(config->rope.type, RopeType::kYarn);
  EXPECT_FALSE(config->rope.truncate);
  EXPECT_DOUBLE_EQ(config->rope.attention_factor, 1.0 + 0.1 * std::log(32.0));
}

TEST(GptOssConfig, DefaultsAreThoseOfItsOwnCode) {
  json bare = released();
  for (const char* key : {"attention_bias", "layer_types", "rms_norm_eps", "rope_scaling",
                          "rope_theta", "sliding_window", "swiglu_limit", "hidden_act"}) {
    bare.erase(key);
  }
  const auto given = parse_config(released());
  const auto config = parse_config(bare);
  ASSERT_OK(config);
  EXPECT_TRUE(config->attention_bias);
  EXPECT_EQ(config->windows, given->windows);
  EXPECT_EQ(config->rms_norm_eps, given->rms_norm_eps);
  EXPECT_EQ(config->activation, given->activation);
  EXPECT_EQ(config->rope.type, RopeType::kYarn);
  EXPECT_EQ(config->rope.theta, given->rope.theta);
  EXPECT_EQ(config->rope.factor, given->rope.factor);
  EXPECT_EQ(config->rope.original_max_position_embeddings, 4096);
  EXPECT_FALSE(config->rope.truncate);
  EXPECT_EQ(config->rope.attention_factor, given->rope.attention_factor);
}

TEST(GptOssConfig, ReadsTheActivationsNumbers) {
  const auto config = parse_config(released({{"swiglu_alpha", 1.5}, {"swiglu_limit", 3}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->activation, (GatedActivation{ActivationKind::kClampedSwiglu, 1.5F, 3.0F}));
}

TEST(GptOssConfig, IsRefusedByKey) {
  const std::pair<json, const char*> bad[] = {
      {{{"swiglu_limit", 0}}, "\"swiglu_limit\" is 0"},
      {{{"swiglu_alpha", "1.7"}}, "\"swiglu_alpha\""},
      {{{"num_experts_per_tok", 33}}, "at most num_local_experts, which is 32"},
      {{{"num_local_experts", nullptr}}, "\"num_local_experts\" is missing"},
      {{{"sliding_window", nullptr}}, "\"sliding_window\""},
      {{{"layer_types", {"full_attention"}}}, "it has 1 elements"},
      {{{"attention_bias", 1}}, "\"attention_bias\""}};
  for (const auto& [keys, words] : bad) {
    EXPECT_FAILS(parse_config(released(keys)), Code::kInvalidArgument, "BAD_CONFIG", words) << keys;
  }
  EXPECT_FAILS(parse_config(released({{"hidden_act", "gelu_pytorch_tanh"}})), Code::kUnimplemented,
               "UNSUPPORTED_ACTIVATION", "clamped SwiGLU");
  EXPECT_FAILS(
      parse_config(released({{"layer_types", json::array({"full_attention", "linear",
                                                          "full_attention", "full_attention"})}})),
      Code::kUnimplemented, "UNSUPPORTED_ATTENTION", "\"linear\"");
}

TEST(GptOssConfig, NamesEveryTensorThatIsMissing) {
  const testing::TemporaryDirectory directory;
  const json config = released({{"hidden_size", 64},
                                {"intermediate_size", 32},
                                {"num_hidden_layers", 1},
                                {"layer_types", {"full_attention"}},
                                {"num_local_experts", 4},
                                {"vocab_size", 16}});
  const std::string experts = "model.layers.0.mlp.experts.";
  std::vector<TensorSpec> tensors = {{experts + "gate_up_proj_blocks", DType::kU8, {4, 64, 2, 16}},
                                     {experts + "gate_up_proj_scales", DType::kU8, {4, 64, 2}},
                                     {experts + "gate_up_proj_bias", DType::kBf16, {4, 64}},
                                     {experts + "down_proj_blocks", DType::kU8, {4, 64, 1, 16}},
                                     {experts + "down_proj_scales", DType::kU8, {4, 64, 1}},
                                     {experts + "down_proj_bias", DType::kBf16, {4, 64}}};
  const std::string stack = tensors[0].name;
  for (const ExpectedTensor& tensor : expected_tensors(describe(*parse_config(config)).value())) {
    if (tensor.name.find(experts) == std::string::npos) {
      tensors.push_back({tensor.name, DType::kBf16, tensor.shape});
    }
  }
  testing::write_model(directory, config, tensors);
  const auto whole = open_model(posix_file_system(), directory.path());
  ASSERT_OK(whole);
  EXPECT_TRUE(whole->extra_tensors.empty());
  EXPECT_EQ(whole->weights->find(stack), nullptr);
  EXPECT_EQ(*whole->weights->find(experts + "3.gate_proj.weight"),
            (TensorSpec{experts + "3.gate_proj.weight", DType::kBf16, {32, 64}}));

  for (const char* name : {"self_attn.sinks", "mlp.router.bias", "self_attn.o_proj.bias"}) {
    std::vector<TensorSpec> fewer = tensors;
    std::erase_if(fewer, [&](const TensorSpec& tensor) { return tensor.name.ends_with(name); });
    ASSERT_EQ(fewer.size() + 1, tensors.size());
    const testing::TemporaryDirectory lacking;
    testing::write_model(lacking, config, fewer);
    EXPECT_FAILS(open_model(posix_file_system(), lacking.path()), Code::kInvalidArgument,
                 "MISSING_TENSORS", name);
  }
}

TEST(GptOssConfig, Mxfp4OfAnotherFamilyIsRefused) {
  const testing::TemporaryDirectory directory;
  json config = testing::small_config();
  config["quantization_config"] = {{"quant_method", "mxfp4"}};
  testing::write_model(directory, config, testing::small_tensors());
  EXPECT_FAILS(open_model(posix_file_system(), directory.path()), Code::kInvalidArgument,
               "ALREADY_QUANTIZED", "a \"llama\" model has none");
}

}  // namespace
}  // namespace rotor
