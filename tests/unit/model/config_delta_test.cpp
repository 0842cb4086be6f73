#include "model/config_delta.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "model/merge_plan.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::family_config;
using testing::parse_config;

const json kKeys = {{"linear_num_key_heads", 2},
                    {"linear_num_value_heads", 6},
                    {"linear_key_head_dim", 4},
                    {"linear_value_head_dim", 3},
                    {"head_dim", 8},
                    {"num_hidden_layers", 8},
                    {"linear_conv_kernel_dim", 5}};

json qwen35(const json& keys = json::object()) {
  json config = family_config("qwen3_5_text", kKeys);
  config.update(keys);
  return config;
}

TEST(ConfigDelta, LeavesEveryFourthLayerItsAttention) {
  const auto parsed = parse_config(qwen35());
  ASSERT_OK(parsed);
  for (int layer = 0; layer < 8; ++layer) {
    EXPECT_EQ(parsed->has_delta(layer), layer % 4 != 3) << layer;
  }
  EXPECT_EQ(parsed->delta->taps, 5);
  EXPECT_EQ(parsed->rope.rotary_share, 0.25);
  EXPECT_TRUE(parse_config(qwen35({{"full_attention_interval", 2}}))->has_delta(2));
  EXPECT_FALSE(parse_config(qwen35({{"full_attention_interval", 2}}))->has_delta(1));
}

TEST(ConfigDelta, TakesLayerTypesFirst) {
  const json types = {"full_attention", "linear_attention"};
  const auto parsed = parse_config(qwen35({{"num_hidden_layers", 2}, {"layer_types", types}}));
  ASSERT_OK(parsed);
  EXPECT_FALSE(parsed->has_delta(0));
  EXPECT_TRUE(parsed->has_delta(1));
  EXPECT_FAILS(parse_config(qwen35({{"layer_types", types}})), Code::kInvalidArgument, "BAD_CONFIG",
               "it has 2 elements");
  EXPECT_FAILS(parse_config(qwen35({{"num_hidden_layers", 2},
                                    {"layer_types", {"full_attention", "sliding_attention"}}})),
               Code::kUnimplemented, "UNSUPPORTED_ATTENTION",
               "supported are full_attention and linear_attention");
}

TEST(ConfigDelta, RefusesValueHeadsThatShareNoKeyHead) {
  EXPECT_FAILS(parse_config(qwen35({{"linear_num_value_heads", 5}})), Code::kInvalidArgument,
               "BAD_CONFIG", "linear_num_key_heads, which is 2, must divide it");
}

TEST(ConfigDelta, HasTheDefaultsOfItsClass) {
  json config = family_config("qwen3_next", {{"num_experts", 4},
                                             {"num_experts_per_tok", 2},
                                             {"moe_intermediate_size", 8},
                                             {"shared_expert_intermediate_size", 8}});
  config.erase("head_dim");
  const auto parsed = parse_config(config);
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->head_dim, 256);
  EXPECT_EQ(parsed->delta->key_heads, 16);
  EXPECT_EQ(parsed->delta->value_heads, 32);
  EXPECT_EQ(parsed->delta->key_dim, 128);
  EXPECT_TRUE(parsed->routing.normalize);
}

TEST(DeltaLayers, AreDescribed) {
  const auto described = describe(*parse_config(qwen35()));
  ASSERT_OK(described);
  const Layer& layer = described->layers[0];
  ASSERT_EQ(layer.stages.size(), 4U);
  const Stage& in = layer.stages[0];
  EXPECT_EQ(in.kind, StageKind::kDeltaIn);
  EXPECT_EQ(in.linears[0].name, "model.layers.0.linear_attn.in_proj_qkv");
  EXPECT_EQ(in.linears[0].out_features, 2 * 8 + 18);
  EXPECT_EQ(in.linears[1].out_features, 18);
  EXPECT_EQ(in.gates[0].name, "model.layers.0.linear_attn.in_proj_b");
  EXPECT_EQ(in.gates[1].out_features, 6);
  EXPECT_EQ(in.norm.offset, 1.0F);
  EXPECT_EQ(in.delta.norm.offset, 0.0F) << "the gated norm multiplies by its weight alone";
  EXPECT_TRUE(reads_residual(in));
  EXPECT_EQ(layer.stages[1].linears[0].name, "model.layers.0.linear_attn.out_proj");
  EXPECT_EQ(described->layers[3].stages[0].linears[0].out_features, 2 * 4 * 8)
      << "q with its gates";
}

TEST(DeltaLayers, TakeAMergedRotationOfTheResidualStreamAlone) {
  const auto described = describe(*parse_config(
      qwen35({{"hidden_size", 32}, {"linear_value_head_dim", 16}, {"head_dim", 16}})));
  ASSERT_OK(described);
  const auto plan = plan_merge(*described, 16);
  ASSERT_OK(plan);
  const auto& in = described->layers[0].stages[0];
  EXPECT_EQ(plan->find(in.gates[0].name + ".weight")->column_block, 16);
  EXPECT_EQ(plan->find(in.gates[0].name + ".weight")->folded, in.norm.weight);
  EXPECT_EQ(plan->find("model.layers.0.linear_attn.out_proj.weight")->column_block, 0);
  EXPECT_EQ(plan->find("model.layers.0.linear_attn.out_proj.weight")->row_block, 16);
  EXPECT_EQ(plan->find("model.layers.3.self_attn.v_proj.weight")->row_block, 0);
  EXPECT_EQ(plan->find("model.layers.3.self_attn.o_proj.weight")->column_block, 0);
  EXPECT_EQ(plan->find(in.delta.norm.weight), nullptr);
}

}  // namespace
}  // namespace rotor
