#include "model/config_mixture.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::small_config;

json qwen(const json& keys = json::object()) {
  json config = small_config();
  config["model_type"] = "qwen3_moe";
  config["num_hidden_layers"] = 4;
  config["num_experts"] = 6;
  config["num_experts_per_tok"] = 2;
  config["moe_intermediate_size"] = 10;
  config.update(keys);
  return config;
}

Result<ModelConfig> parse(const json& config) {
  return parse_model_config(config.dump(), "M/config.json");
}

std::vector<bool> mixtures(const json& config) {
  const auto parsed = parse(config);
  EXPECT_OK(parsed);
  std::vector<bool> found;
  for (int layer = 0; layer < 4; ++layer) {
    found.push_back(parsed->is_mixture(layer));
  }
  return found;
}

TEST(ConfigMixture, ReadsQwensKeys) {
  const auto parsed = parse(qwen({{"norm_topk_prob", true}}));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->routing, (RoutingRule{6, 2, true}));
  EXPECT_EQ(parsed->expert_features, 10);
  EXPECT_FALSE(parse(qwen())->routing.normalize);
}

TEST(ConfigMixture, ReadsTheCountUnderEitherKey) {
  json config = qwen();
  config.erase("num_experts");
  config["num_local_experts"] = 5;
  EXPECT_EQ(parse(config)->routing.experts, 5);
}

TEST(ConfigMixture, ReadsMixtralsKeys) {
  json config = small_config();
  config.update({{"model_type", "mixtral"}, {"num_local_experts", 4}, {"num_experts_per_tok", 2}});
  const auto parsed = parse(config);
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->routing, (RoutingRule{4, 2, true}));
  EXPECT_EQ(parsed->expert_features, 12);
  EXPECT_TRUE(parsed->is_mixture(1));
}

TEST(ConfigMixture, KnowsTheDenseLayers) {
  EXPECT_EQ(mixtures(qwen()), (std::vector<bool>{true, true, true, true}));
  EXPECT_EQ(mixtures(qwen({{"decoder_sparse_step", 2}})),
            (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(mixtures(qwen({{"mlp_only_layers", {0, 2}}})),
            (std::vector<bool>{false, true, false, true}));
}

TEST(ConfigMixture, RefusesWhatCannotBe) {
  EXPECT_FAILS(parse(qwen({{"num_experts_per_tok", 7}})), Code::kInvalidArgument, "BAD_CONFIG",
               "at most num_experts, which is 6");
  EXPECT_FAILS(parse(qwen({{"mlp_only_layers", {1, 4}}})), Code::kInvalidArgument, "BAD_CONFIG",
               "0 to 3");
  EXPECT_FAILS(parse(qwen({{"num_experts", 0}})), Code::kInvalidArgument, "BAD_CONFIG",
               "num_experts");
  json config = qwen();
  config.erase("moe_intermediate_size");
  EXPECT_FAILS(parse(config), Code::kInvalidArgument, "BAD_CONFIG", "moe_intermediate_size");
}

TEST(ConfigMixture, DescribesTheStagesOfExperts) {
  const auto architecture = describe(*parse(qwen({{"mlp_only_layers", {1}}})));
  ASSERT_OK(architecture);
  const Layer& layer = architecture->layers[0];
  ASSERT_EQ(layer.stages.size(), 4U);
  const Stage& in = layer.stages[2];
  EXPECT_EQ(in.kind, StageKind::kExpertsIn);
  EXPECT_EQ(in.norm.weight, "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(in.router, "model.layers.0.mlp.gate");
  EXPECT_EQ(in.in_features, 8);
  ASSERT_EQ(in.linears.size(), 12U);
  EXPECT_EQ(in.linears_per_input(), 2);
  EXPECT_EQ(in.linears[7].name, "model.layers.0.mlp.experts.3.up_proj");
  EXPECT_EQ(in.linears[7].out_features, 10);
  EXPECT_EQ(in.linears[7].fuse_group, in.linears[6].fuse_group);
  EXPECT_NE(in.linears[7].fuse_group, in.linears[5].fuse_group);
  const Stage& out = layer.stages[3];
  EXPECT_EQ(out.kind, StageKind::kExpertsOut);
  EXPECT_TRUE(out.router.empty());
  EXPECT_EQ(out.in_features, 10);
  ASSERT_EQ(out.linears.size(), 6U);
  EXPECT_EQ(out.linears[5].name, "model.layers.0.mlp.experts.5.down_proj");
  EXPECT_EQ(out.linears[5].out_features, 8);
  EXPECT_EQ(architecture->layers[1].stages[2].kind, StageKind::kMlpIn);
}

TEST(ConfigMixture, NamesMixtralsExpertsAsItsCheckpointsDo) {
  json config = small_config();
  config.update({{"model_type", "mixtral"}, {"num_local_experts", 4}, {"num_experts_per_tok", 2}});
  const auto architecture = describe(*parse(config));
  ASSERT_OK(architecture);
  const Layer& layer = architecture->layers[1];
  EXPECT_EQ(layer.stages[2].router, "model.layers.1.block_sparse_moe.gate");
  EXPECT_EQ(layer.stages[2].linears[2].name, "model.layers.1.block_sparse_moe.experts.1.w1");
  EXPECT_EQ(layer.stages[2].linears[3].name, "model.layers.1.block_sparse_moe.experts.1.w3");
  EXPECT_EQ(layer.stages[3].linears[1].name, "model.layers.1.block_sparse_moe.experts.1.w2");
}

}  // namespace
}  // namespace rotor
