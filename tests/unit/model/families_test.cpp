#include "model/families.h"

#include <gtest/gtest.h>

#include "model/architecture.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using testing::parsed_small_config;

TEST(Families, ListsWhatIsSupported) {
  EXPECT_EQ(supported_model_types(), (std::vector<std::string>{"deepseek_v3",
                                                               "deepseek_v32",
                                                               "gemma2",
                                                               "gemma3_text",
                                                               "glm4_moe",
                                                               "glm4_moe_lite",
                                                               "glm_moe_dsa",
                                                               "gpt_oss",
                                                               "granite",
                                                               "kimi_k2",
                                                               "llama",
                                                               "llama4_text",
                                                               "minimax_m2",
                                                               "ministral",
                                                               "mistral",
                                                               "mixtral",
                                                               "olmo2",
                                                               "olmo3",
                                                               "phi3",
                                                               "qwen2",
                                                               "qwen2_5_vl_text",
                                                               "qwen3",
                                                               "qwen3_5_moe_text",
                                                               "qwen3_5_text",
                                                               "qwen3_moe",
                                                               "qwen3_next",
                                                               "qwen3_vl_moe_text",
                                                               "qwen3_vl_text",
                                                               "seed_oss",
                                                               "smollm3"}));
}

TEST(Families, DescribesEachStageOfALayer) {
  ModelConfig config = parsed_small_config();
  config.head_dim = 6;  // apart from hidden_size / num_heads
  const auto architecture = describe(config);
  ASSERT_OK(architecture);
  EXPECT_EQ(architecture->embedding, "model.embed_tokens.weight");
  EXPECT_EQ(architecture->final_norm.weight, "model.norm.weight");
  EXPECT_EQ(architecture->head_weight, "lm_head.weight");
  ASSERT_EQ(architecture->layers.size(), 2U);
  const Layer& layer = architecture->layers[1];
  EXPECT_EQ(layer.index, 1);
  EXPECT_EQ(layer.prefix, "model.layers.1.");

  struct Expected {
    StageKind kind;
    std::string norm;
    int64_t in_features;
    std::vector<std::pair<std::string, int64_t>> linears;  // name, out_features
  };
  const std::vector<Expected> expected = {
      {StageKind::kAttentionIn,
       "input_layernorm.weight",
       8,
       {{"self_attn.q_proj", 24}, {"self_attn.k_proj", 12}, {"self_attn.v_proj", 12}}},
      {StageKind::kAttentionOut, "", 24, {{"self_attn.o_proj", 8}}},
      {StageKind::kMlpIn,
       "post_attention_layernorm.weight",
       8,
       {{"mlp.gate_proj", 12}, {"mlp.up_proj", 12}}},
      {StageKind::kMlpOut, "", 12, {{"mlp.down_proj", 8}}},
  };
  ASSERT_EQ(layer.stages.size(), expected.size());
  for (size_t s = 0; s < expected.size(); ++s) {
    const Stage& stage = layer.stages[s];
    EXPECT_EQ(stage.kind, expected[s].kind);
    EXPECT_EQ(stage.norm.weight, expected[s].norm.empty() ? "" : layer.prefix + expected[s].norm);
    EXPECT_EQ(stage.in_features, expected[s].in_features);
    ASSERT_EQ(stage.linears.size(), expected[s].linears.size());
    for (size_t l = 0; l < stage.linears.size(); ++l) {
      EXPECT_EQ(stage.linears[l].name, layer.prefix + expected[s].linears[l].first);
      EXPECT_EQ(stage.linears[l].out_features, expected[s].linears[l].second);
      EXPECT_EQ(stage.linears[l].in_features, stage.in_features);
      EXPECT_EQ(stage.linears[l].fuse_group, stage.linears[0].fuse_group);
      EXPECT_FALSE(stage.linears[l].has_bias);
    }
  }
}

TEST(Families, PutsBiasesWhereTheConfigHasThem) {
  ModelConfig config = parsed_small_config();
  config.attention_bias = true;
  config.attention_output_bias = true;
  const Layer layer = describe(config)->layers[0];
  EXPECT_TRUE(layer.stages[0].linears[2].has_bias);
  EXPECT_TRUE(layer.stages[1].linears[0].has_bias);
  EXPECT_FALSE(layer.stages[2].linears[0].has_bias);
  config.attention_bias = false;
  config.attention_output_bias = false;
  config.mlp_bias = true;
  const Layer other = describe(config)->layers[0];
  EXPECT_FALSE(other.stages[0].linears[0].has_bias);
  EXPECT_TRUE(other.stages[3].linears[0].has_bias);
}

Architecture described(const std::string& model_type) {
  const auto parsed = testing::parse_config(testing::family_config(model_type));
  EXPECT_OK(parsed);
  const auto architecture = describe(*parsed);
  EXPECT_OK(architecture);
  return *architecture;
}

std::vector<std::string> norm_names(const Layer& layer) {
  std::vector<std::string> names;
  for (const Stage& stage : layer.stages) {
    for (const Norm* norm : norms_of(stage)) {
      names.push_back(norm->weight.substr(layer.prefix.size()));
    }
  }
  return names;
}

TEST(Families, Qwen2HasABiasOnQueryKeyAndValueAlone) {
  const Layer layer = described("qwen2").layers[0];
  for (const Linear& linear : layer.stages[0].linears) {
    EXPECT_TRUE(linear.has_bias) << linear.name;
  }
  EXPECT_FALSE(layer.stages[1].linears[0].has_bias);
  EXPECT_FALSE(layer.stages[2].linears[0].has_bias);
}

TEST(Families, Qwen3NormsEachHead) {
  const Layer layer = described("qwen3").layers[1];
  EXPECT_EQ(norm_names(layer), (std::vector<std::string>{
                                   "input_layernorm.weight", "self_attn.q_norm.weight",
                                   "self_attn.k_norm.weight", "post_attention_layernorm.weight"}));
  const Attention& attention = layer.stages[0].attention;
  EXPECT_EQ(attention.q_norm.features, attention.head_dim);
  EXPECT_EQ(attention.k_norm.features, attention.head_dim);
  EXPECT_EQ(attention.q_norm.offset, 0.0F);
}

TEST(Families, Olmo2NormsWholeProjectionsAndWhatIsAdded) {
  const Layer layer = described("olmo2").layers[1];
  EXPECT_EQ(norm_names(layer),
            (std::vector<std::string>{"self_attn.q_norm.weight", "self_attn.k_norm.weight",
                                      "post_attention_layernorm.weight",
                                      "post_feedforward_layernorm.weight"}));
  const Attention& attention = layer.stages[0].attention;
  EXPECT_EQ(attention.q_norm.features, attention.query_features());
  EXPECT_EQ(attention.k_norm.features, attention.key_features());
  EXPECT_EQ(layer.stages[1].post_norm.weight, "model.layers.1.post_attention_layernorm.weight");
  EXPECT_EQ(layer.stages[3].post_norm.weight, "model.layers.1.post_feedforward_layernorm.weight");
}

TEST(Families, GemmaNormsAroundAttentionAndMlpWithAnOffset) {
  for (const char* type : {"gemma2", "gemma3_text"}) {
    const Architecture architecture = described(type);
    const Layer& layer = architecture.layers[0];
    EXPECT_EQ(layer.stages[0].norm.weight, layer.prefix + "input_layernorm.weight");
    EXPECT_EQ(layer.stages[1].post_norm.weight, layer.prefix + "post_attention_layernorm.weight");
    EXPECT_EQ(layer.stages[2].norm.weight, layer.prefix + "pre_feedforward_layernorm.weight");
    EXPECT_EQ(layer.stages[3].post_norm.weight, layer.prefix + "post_feedforward_layernorm.weight");
    for (const Stage& stage : layer.stages) {
      for (const Norm* norm : norms_of(stage)) {
        EXPECT_EQ(norm->offset, 1.0F) << norm->weight;
      }
    }
    EXPECT_EQ(architecture.final_norm.offset, 1.0F);
    EXPECT_EQ(layer.stages[0].attention.q_norm.empty(), std::string(type) == "gemma2");
    EXPECT_DOUBLE_EQ(layer.stages[0].attention.scale, 1.0 / 16.0);
    EXPECT_EQ(layer.stages[0].attention.local_rope, std::string(type) == "gemma3_text");
  }
}

TEST(Families, Phi3HasItsProjectionsFused) {
  const Layer layer = described("phi3").layers[0];
  ASSERT_EQ(layer.stages[0].linears.size(), 1U);
  EXPECT_EQ(layer.stages[0].linears[0].name, "model.layers.0.self_attn.qkv_proj");
  EXPECT_EQ(layer.stages[0].linears[0].out_features, 8 + 4 + 4);
  ASSERT_EQ(layer.stages[2].linears.size(), 1U);
  EXPECT_EQ(layer.stages[2].linears[0].name, "model.layers.0.mlp.gate_up_proj");
  EXPECT_EQ(layer.stages[2].linears[0].out_features, 2 * 12);
}

TEST(Families, GptOssHasSinksAndBiasesAndExpertsInOneTensor) {
  const auto parsed = testing::parse_config(testing::family_config(
      "gpt_oss", {{"head_dim", 6}, {"num_local_experts", 3}, {"num_experts_per_tok", 2}}));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->activation, (GatedActivation{ActivationKind::kClampedSwiglu, 1.702F, 7.0F}));
  const auto architecture = describe(*parsed);
  ASSERT_OK(architecture);
  for (const Layer& layer : architecture->layers) {
    ASSERT_EQ(layer.stages.size(), 4U);
    const Attention& attention = layer.stages[0].attention;
    EXPECT_EQ(attention.sinks, layer.prefix + "self_attn.sinks");
    EXPECT_EQ(attention.sliding_window, layer.index == 0 ? 128 : 0);
    const Stage& in = layer.stages[2];
    const Stage& out = layer.stages[3];
    EXPECT_EQ(in.router, layer.prefix + "mlp.router");
    EXPECT_TRUE(in.router_bias);
    EXPECT_EQ(in.stack.name, layer.prefix + "mlp.experts.gate_up_proj");
    EXPECT_EQ(out.stack.name, layer.prefix + "mlp.experts.down_proj");
    EXPECT_EQ(in.routing, (RoutingRule{3, 2, true}));
    EXPECT_EQ(in.linears[5].name, layer.prefix + "mlp.experts.2.up_proj");
    EXPECT_EQ(out.linears[2].name, layer.prefix + "mlp.experts.2.down_proj");
    for (const Stage& stage : layer.stages) {
      for (const Linear& linear : stage.linears) {
        EXPECT_TRUE(linear.has_bias) << linear.name;
      }
    }
  }
}

TEST(Families, ReadsATiedHeadFromTheEmbedding) {
  ModelConfig config = parsed_small_config();
  config.tie_word_embeddings = true;
  EXPECT_EQ(describe(config)->head_weight, describe(config)->embedding);
}

TEST(Families, RefusesAnUnknownTypeAndListsTheKnown) {
  ModelConfig config = parsed_small_config();
  config.model_type = "mamba";
  EXPECT_FAILS(describe(config), Code::kUnimplemented, "UNSUPPORTED_MODEL_TYPE",
               "'mamba' is not supported; supported are: deepseek_v3, deepseek_v32, "
               "gemma2, gemma3_text, glm4_moe, glm4_moe_lite, glm_moe_dsa, gpt_oss,");
}

TEST(Families, RefusesSizesThatContradictEachOther) {
  ModelConfig config = parsed_small_config();
  config.num_kv_heads = 3;
  EXPECT_FAILS(describe(config), Code::kInvalidArgument, "BAD_CONFIG", "4 heads over 3");
}

}  // namespace
}  // namespace rotor
