#include "model/merge_plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/plan.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

/// hidden 32, heads of 8 over 4.
nlohmann::json config() {
  nlohmann::json config = testing::small_config();
  config["hidden_size"] = 32;
  config["intermediate_size"] = 48;
  config["attention_bias"] = true;
  return config;
}

Architecture architecture(const nlohmann::json& config) {
  return describe(*parse_model_config(config.dump(), "config.json")).value();
}

TEST(MergePlan, SaysWhatBecomesOfEachTensor) {
  const auto plan = plan_merge(architecture(config()), 32);
  ASSERT_OK(plan);
  const auto& tensors = plan->tensors;
  EXPECT_EQ(tensors.at("model.embed_tokens.weight").column_block, 32);
  const std::string layer = "model.layers.1.";
  const TensorMerge& query = tensors.at(layer + "self_attn.q_proj.weight");
  EXPECT_EQ(query.folded, layer + "input_layernorm.weight");
  EXPECT_EQ(query.column_block, 32);
  EXPECT_EQ(query.row_block, 0);
  EXPECT_FALSE(tensors.contains(layer + "self_attn.q_proj.bias"));
  // Heads of 8 take blocks of 8.
  EXPECT_EQ(tensors.at(layer + "self_attn.v_proj.weight").row_block, 8);
  EXPECT_EQ(tensors.at(layer + "self_attn.v_proj.bias").row_block, 8);
  EXPECT_EQ(tensors.at(layer + "self_attn.o_proj.weight").column_block, 8);
  EXPECT_EQ(tensors.at(layer + "self_attn.o_proj.weight").row_block, 32);
  EXPECT_EQ(tensors.at(layer + "self_attn.o_proj.bias").row_block, 32);
  EXPECT_EQ(tensors.at(layer + "mlp.down_proj.weight").column_block, 0);
  EXPECT_EQ(tensors.at(layer + "mlp.down_proj.weight").row_block, 32);
  EXPECT_TRUE(tensors.at(layer + "post_attention_layernorm.weight").norm);
  EXPECT_TRUE(tensors.at("model.norm.weight").norm);
  EXPECT_EQ(tensors.at("lm_head.weight").folded, "model.norm.weight");
  EXPECT_EQ(tensors.at("lm_head.weight").source, "lm_head.weight");
}

TEST(MergePlan, NeedsAHeadToFoldTheFinalNormInto) {
  Architecture source = architecture(config());
  source.head_weight = "";
  EXPECT_FAILS(plan_merge(source, 16), Code::kInvalidArgument, "CANNOT_MERGE_ROTATION",
               "no output head");
}

TEST(MergePlan, ATiedHeadBecomesATensorOfItsOwn) {
  nlohmann::json tied = config();
  tied["tie_word_embeddings"] = true;
  const Architecture source = architecture(tied);
  const auto plan = plan_merge(source, 16);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->tensors.at("lm_head.weight").source, "model.embed_tokens.weight");
  EXPECT_EQ(merged_architecture(source).head_weight, "lm_head.weight");
  const auto text = merged_config(source, tied.dump());
  ASSERT_OK(text);
  tied["tie_word_embeddings"] = false;
  EXPECT_EQ(nlohmann::json::parse(*text), tied);
  EXPECT_EQ(*merged_config(architecture(config()), "{}"), "{}");
}

TEST(MergePlan, RefusesAHiddenSizeThatTheBlockDoesNotDivide) {
  EXPECT_FAILS(plan_merge(architecture(config()), 64), Code::kInvalidArgument,
               "CANNOT_MERGE_ROTATION", "its hidden size 32 is no multiple of 64; blocks of 32");
}

TEST(MergePlan, IsPartOfThePlan) {
  QuantOptions options;
  options.scheme = *make_scheme(Format::kNvfp4, 0, DType::kBf16);
  options.rotation = 0;
  options.merged_rotation = 32;
  options.ignore = {"*.layers.0.mlp.down_proj"};
  const auto plan = make_plan(architecture(config()), options);
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->merge.find("model.layers.1.mlp.down_proj.weight")->exact);
  EXPECT_FALSE(plan->merge.find("model.layers.0.mlp.down_proj.weight")->exact);
  EXPECT_FALSE(plan->merge.find("lm_head.weight")->exact);
  const ModulePlan& output = plan->layers[0].stages[1].modules[0];
  EXPECT_EQ(output.rotation, 0);
  ASSERT_EQ(output.notes.size(), 1U);
  EXPECT_EQ(output.notes[0].kind, "SMALLER_ROTATION");
  EXPECT_EQ(output.notes[0].detail,
            "the heads' width is no multiple of 32: values are rotated in blocks of 8");

  options.rotation = 16;
  EXPECT_FAILS(make_plan(architecture(config()), options), Code::kInvalidArgument, "BAD_ROTATION",
               "choose one of the two");
  options.rotation = 0;
  options.merged_rotation = 24;
  EXPECT_FAILS(make_plan(architecture(config()), options), Code::kInvalidArgument, "BAD_ROTATION",
               "merged blocks of 16");
}

}  // namespace
}  // namespace rotor
