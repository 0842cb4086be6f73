// DeepSeek-V3 as it is published: its config.json, its stages and its plan.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "model/model_files.h"
#include "model/plan.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::parse_config;

const json& published() {
  static const json config =
      json::parse(read_whole_file(posix_file_system(),
                                  ROTOR_SOURCE_DIR "/tests/data/configs/deepseek_v3.json", 1 << 20)
                      .value());
  return config;
}

json with(const json& keys) {
  json config = published();
  config.update(keys);
  return config;
}

json without(const std::string& key) {
  json config = published();
  config.erase(key);
  return config;
}

Architecture described(const json& config) {
  return describe(parse_config(config).value()).value();
}

TEST(Deepseek, ReadsThePublishedConfig) {
  const auto config = parse_config(published());
  ASSERT_OK(config);
  ASSERT_TRUE(config->latent.has_value());
  EXPECT_EQ(config->latent->query_rank, 1536);
  EXPECT_EQ(config->latent->key_value_rank, 512);
  EXPECT_EQ(config->latent->plain_features, 128);
  EXPECT_EQ(config->latent->rotary_features, 64);
  EXPECT_EQ(config->latent->value_features, 128);
  EXPECT_TRUE(config->latent->interleaved);
  EXPECT_EQ(config->head_dim, 192);
  EXPECT_EQ(config->rope_features(), 64);
  EXPECT_EQ(config->routing, (RoutingRule{256, 8, true, ScoreRule::kSigmoid, true, 8, 4, 2.5F}));
  EXPECT_EQ(config->expert_features, 2048);
  EXPECT_EQ(config->shared_features, 2048);
  EXPECT_FALSE(config->is_mixture(2));
  EXPECT_TRUE(config->is_mixture(3));
  EXPECT_EQ(config->source_quantization.form, StoredForm::kScaledWeights);
  EXPECT_EQ(config->source_quantization.schemes, (std::vector{WeightScheme{{}, 128, 128}}));
  EXPECT_EQ(config->rope.attention_factor, 1.0);  // mscale over mscale_all_dim
  const double magnitude = 0.1 * std::log(40.0) + 1.0;
  EXPECT_NEAR(config->rope.score_factor, magnitude * magnitude, 1e-12);
}

TEST(Deepseek, KnowsWhatIsNotThere) {
  EXPECT_EQ(parse_config(with({{"n_shared_experts", nullptr}}))->shared_features, 0);
  EXPECT_EQ(parse_config(without("n_shared_experts"))->shared_features, 2048);
  EXPECT_EQ(parse_config(with({{"q_lora_rank", nullptr}}))->latent->query_rank, 0);
  EXPECT_FALSE(parse_config(with({{"rope_interleave", false}}))->latent->interleaved);
  EXPECT_EQ(parse_config(without("rope_scaling"))->rope.score_factor, 1.0);
  const auto every_second = parse_config(with({{"moe_layer_freq", 2}}));
  ASSERT_OK(every_second);
  EXPECT_FALSE(every_second->is_mixture(3));
  EXPECT_TRUE(every_second->is_mixture(4));
}

TEST(Deepseek, RefusesConfigsThatContradictThemselves) {
  const auto fails = [](const json& config, const std::string& named) {
    EXPECT_FAILS(parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", named);
  };
  fails(without("q_lora_rank"), "q_lora_rank");
  fails(without("kv_lora_rank"), "kv_lora_rank");
  fails(without("v_head_dim"), "v_head_dim");
  fails(without("n_routed_experts"), "n_routed_experts");
  fails(with({{"num_key_value_heads", 8}}), "num_key_value_heads");
  fails(with({{"qk_rope_head_dim", 63}}), "qk_rope_head_dim");
  fails(with({{"qk_nope_head_dim", 1}}), "qk_nope_head_dim");
  fails(with({{"n_group", 7}}), "n_group");
  fails(with({{"n_group", 256}}), "n_group");
  fails(with({{"topk_group", 9}}), "topk_group");
  fails(with({{"topk_group", 1}, {"num_experts_per_tok", 33}}), "num_experts_per_tok");
  fails(with({{"routed_scaling_factor", -1.0}}), "routed_scaling_factor");
  fails(with({{"first_k_dense_replace", -1}}), "first_k_dense_replace");
  const auto unsupported = [](const json& config, const std::string& named) {
    EXPECT_FAILS(parse_config(config), Code::kUnimplemented, "UNSUPPORTED_ROUTING", named);
  };
  unsupported(with({{"scoring_func", "softmax"}}), "scoring_func");
  unsupported(with({{"topk_method", "group_limited_greedy"}}), "topk_method");
}

/// "kind in: first linears" of each stage.
struct Expected {
  StageKind kind;
  int64_t in_features;
  std::vector<std::pair<std::string, int64_t>> linears;  // name, out_features
};

void expect_stages(const Layer& layer, const std::vector<Expected>& expected) {
  ASSERT_EQ(layer.stages.size(), expected.size());
  for (size_t s = 0; s < expected.size(); ++s) {
    const Stage& stage = layer.stages[s];
    EXPECT_EQ(stage.kind, expected[s].kind) << s;
    EXPECT_EQ(stage.in_features, expected[s].in_features) << s;
    ASSERT_GE(stage.linears.size(), expected[s].linears.size()) << s;
    for (size_t l = 0; l < expected[s].linears.size(); ++l) {
      EXPECT_EQ(stage.linears[l].name, layer.prefix + expected[s].linears[l].first);
      EXPECT_EQ(stage.linears[l].out_features, expected[s].linears[l].second);
      EXPECT_EQ(stage.linears[l].in_features, expected[s].in_features);
    }
  }
}

TEST(Deepseek, DescribesTheStagesOfAMixture) {
  const Architecture architecture = described(published());
  const Layer& layer = architecture.layers[60];
  expect_stages(layer,
                {{StageKind::kLatentIn,
                  7168,
                  {{"self_attn.q_a_proj", 1536}, {"self_attn.kv_a_proj_with_mqa", 576}}},
                 {StageKind::kLatentQuery, 1536, {{"self_attn.q_b_proj", 24576}}},
                 {StageKind::kLatentKeyValue, 512, {{"self_attn.kv_b_proj", 32768}}},
                 {StageKind::kAttentionOut, 16384, {{"self_attn.o_proj", 7168}}},
                 {StageKind::kMlpIn,
                  7168,
                  {{"mlp.shared_experts.gate_proj", 2048}, {"mlp.shared_experts.up_proj", 2048}}},
                 {StageKind::kSharedOut, 2048, {{"mlp.shared_experts.down_proj", 7168}}},
                 {StageKind::kExpertsIn,
                  7168,
                  {{"mlp.experts.0.gate_proj", 2048}, {"mlp.experts.0.up_proj", 2048}}},
                 {StageKind::kExpertsOut, 2048, {{"mlp.experts.0.down_proj", 7168}}}});
  // Engines fuse the two latents; what stands for all heads stays by itself.
  EXPECT_EQ(layer.stages[0].linears[0].fuse_group, layer.stages[0].linears[1].fuse_group);
  EXPECT_EQ(layer.stages[0].attention.q_norm.weight,
            layer.prefix + "self_attn.q_a_layernorm.weight");
  EXPECT_EQ(layer.stages[0].attention.k_norm.features, 512);
  EXPECT_EQ(layer.stages[6].router, layer.prefix + "mlp.gate");
  EXPECT_EQ(layer.stages[6].router_correction, layer.prefix + "mlp.gate.e_score_correction_bias");
  const double magnitude = 0.1 * std::log(40.0) + 1.0;
  EXPECT_NEAR(layer.stages[2].attention.scale, magnitude * magnitude / std::sqrt(192.0), 1e-12);
  expect_stages(architecture.layers[2],
                {{StageKind::kLatentIn, 7168, {}},
                 {StageKind::kLatentQuery, 1536, {}},
                 {StageKind::kLatentKeyValue, 512, {}},
                 {StageKind::kAttentionOut, 16384, {}},
                 {StageKind::kMlpIn, 7168, {{"mlp.gate_proj", 18432}, {"mlp.up_proj", 18432}}},
                 {StageKind::kMlpOut, 18432, {{"mlp.down_proj", 7168}}}});
}

TEST(Deepseek, QueriesWithoutALatentAreAStageLess) {
  const Layer layer = described(with({{"q_lora_rank", nullptr}})).layers[0];
  expect_stages(layer, {{StageKind::kLatentIn,
                         7168,
                         {{"self_attn.q_proj", 24576}, {"self_attn.kv_a_proj_with_mqa", 576}}},
                        {StageKind::kLatentKeyValue, 512, {}},
                        {StageKind::kAttentionOut, 16384, {}},
                        {StageKind::kMlpIn, 7168, {}},
                        {StageKind::kMlpOut, 18432, {}}});
  EXPECT_NE(layer.stages[0].linears[0].fuse_group, layer.stages[0].linears[1].fuse_group);
}

TEST(Deepseek, WhatIsLeftIsTakenOnceAndNothingIsCarriedOverALayersEnd) {
  for (const json& config :
       {published(), with({{"q_lora_rank", nullptr}}), with({{"n_shared_experts", 0}})}) {
    for (const Layer& layer : described(config).layers) {
      std::set<CarrySlot> full;
      for (const Stage& stage : layer.stages) {
        for (const CarrySlot slot : stage.takes) {
          EXPECT_EQ(full.erase(slot), 1U) << layer.index;
        }
        for (const CarryPart& part : stage.leaves) {
          EXPECT_TRUE(full.insert(part.slot).second) << layer.index;
        }
        if (!reads_residual(stage)) {
          ASSERT_FALSE(stage.takes.empty());
        }
      }
      EXPECT_TRUE(full.empty()) << layer.index;
    }
  }
  const Layer layer = described(published()).layers[3];
  EXPECT_EQ(carried_behind(layer, 1), (std::vector<CarryPart>{{CarrySlot::kKeyValueLatent, 512},
                                                              {CarrySlot::kRotaryKey, 64},
                                                              {CarrySlot::kQuery, 24576}}));
  EXPECT_EQ(carried_behind(layer, 6),
            (std::vector<CarryPart>{{CarrySlot::kShared, 7168}, {CarrySlot::kProduct, 16384}}));
  EXPECT_TRUE(carried_behind(layer, 7).empty());
}

TEST(Deepseek, NamesEveryTensorOnce) {
  std::set<std::string> names;
  int64_t elements = 0;
  for (const ExpectedTensor& tensor : expected_tensors(described(published()))) {
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    int64_t size = 1;
    for (const int64_t dimension : tensor.shape) {
      size *= dimension;
    }
    elements += size;
  }
  // "671B total parameters", without the layer that predicts further tokens.
  EXPECT_EQ(elements / 1'000'000'000, 671);
  EXPECT_TRUE(names.contains("model.layers.3.mlp.experts.255.down_proj.weight"));
  EXPECT_TRUE(names.contains("model.layers.60.self_attn.kv_a_layernorm.weight"));
  EXPECT_FALSE(names.contains("model.layers.61.eh_proj.weight"));
}

TEST(Deepseek, PlansEveryModuleOfTheWholeModel) {
  QuantOptions options;
  const auto plan = make_plan(described(published()), options);
  ASSERT_OK(plan);
  size_t modules = 0;
  size_t rotated = 0;
  for (const LayerPlan& layer : plan->layers) {
    for (const StagePlan& stage : layer.stages) {
      modules += stage.modules.size();
      for (const ModulePlan& module : stage.modules) {
        EXPECT_TRUE(module.quantized);
        rotated += module.rotation == 16 ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(modules, 61U * 5 + 3 * 3 + 58 * (3 + 256 * 3));
  EXPECT_EQ(rotated, 61U * 5 + 3 * 3 + 58 * 3);  // engines rotate no input of an expert
}

TEST(Deepseek, LatentsAreIgnoredTogetherOrNot) {
  QuantOptions options;
  options.ignore = {"*.q_a_proj"};
  EXPECT_FAILS(make_plan(described(published()), options), Code::kInvalidArgument, "SPLIT_FUSION",
               "q_a_proj");
  options.ignore = {"*.q_a_proj", "*.kv_a_proj_with_mqa", "*.kv_b_proj", "*.shared_experts.*"};
  EXPECT_OK(make_plan(described(published()), options));
}

TEST(Deepseek, ARotationCannotBeMerged) {
  QuantOptions options;
  options.rotation = 0;
  options.merged_rotation = 16;
  EXPECT_FAILS(make_plan(described(published()), options), Code::kInvalidArgument,
               "CANNOT_MERGE_ROTATION", "latent attention");
}

}  // namespace
}  // namespace rotor
