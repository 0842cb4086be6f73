// What a job may ask of gpt-oss: its widths of 2880 are 22.5 blocks of 128, every linear of its has
// a bias, and most of them are experts'.
#include <gtest/gtest.h>

#include "model/plan.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

/// One layer of gpt-oss-20b, with 4 of its 32 experts.
Architecture one_layer() {
  const auto config =
      testing::parse_config(testing::family_config("gpt_oss", {{"hidden_size", 2880},
                                                               {"intermediate_size", 2880},
                                                               {"num_hidden_layers", 1},
                                                               {"num_attention_heads", 64},
                                                               {"num_key_value_heads", 8},
                                                               {"head_dim", 64},
                                                               {"num_local_experts", 4},
                                                               {"num_experts_per_tok", 4}}));
  EXPECT_OK(config);
  return describe(*config).value();
}

QuantOptions options(Format format, int group = 0) {
  QuantOptions options;
  options.scheme = *make_scheme(format, group, DType::kBf16);
  options.rotation = 0;
  return options;
}

TEST(GptOssPlan, IsQuantizedUnrotatedAndEveryModuleSaysWhy) {
  for (const auto& [format, block] : {std::pair{Format::kMxfp4, 128}, {Format::kNvfp4, 16}}) {
    QuantOptions asked = options(format);
    asked.rotation = block;
    const auto plan = make_plan(one_layer(), asked);
    ASSERT_OK(plan);
    int64_t modules = 0;
    for (const StagePlan& stage : plan->layers[0].stages) {
      for (const ModulePlan& module : stage.modules) {
        EXPECT_TRUE(module.quantized) << module.linear.name;
        EXPECT_EQ(module.rotation, 0) << module.linear.name;
        ASSERT_EQ(module.notes.size(), 1U) << module.linear.name;
        EXPECT_EQ(module.notes[0].kind,
                  stage.stage.has_experts() ? "UNROTATED_EXPERTS" : "UNROTATED_BIAS")
            << module.linear.name;
        ++modules;
      }
    }
    EXPECT_EQ(modules, 4 + 3 * 4);
  }
}

TEST(GptOssPlan, AGroupOf128IsRefusedWithTheWayOut) {
  EXPECT_FAILS(make_plan(one_layer(), options(Format::kInt4, 128)), Code::kInvalidArgument,
               "GROUP_DOES_NOT_DIVIDE",
               "q_proj has 2880 input features, no multiple of the group size 128");
  EXPECT_OK(make_plan(one_layer(), options(Format::kInt4, 64)));
}

TEST(GptOssPlan, AMergedRotationTakesBlocksOf64) {
  QuantOptions merged = options(Format::kMxfp4);
  merged.merged_rotation = 128;
  EXPECT_FAILS(make_plan(one_layer(), merged), Code::kInvalidArgument, "CANNOT_MERGE_ROTATION",
               "its hidden size 2880 is no multiple of 128; blocks of 64 fit");
  merged.merged_rotation = 64;
  const auto plan = make_plan(one_layer(), merged);
  ASSERT_OK(plan);
  const std::string expert = "model.layers.0.mlp.experts.3.";
  EXPECT_EQ(plan->merge.find(expert + "up_proj.weight")->column_block, 64);
  EXPECT_EQ(plan->merge.find(expert + "up_proj.bias"), nullptr);
  EXPECT_EQ(plan->merge.find(expert + "down_proj.weight")->row_block, 64);
  EXPECT_EQ(plan->merge.find(expert + "down_proj.bias")->row_block, 64);
  EXPECT_EQ(plan->merge.find("model.layers.0.self_attn.sinks"), nullptr);
  EXPECT_EQ(plan->merge.find("model.layers.0.mlp.router.bias"), nullptr);
  EXPECT_EQ(plan->merge.find("model.layers.0.mlp.router.weight")->column_block, 64);
}

TEST(GptOssPlan, OtherLayoutsSayWhatTheyCannotHold) {
  QuantOptions asked = options(Format::kMxfp4);
  asked.layout = Layout::kFpQuant;
  asked.activations = Activations::kA4;
  asked.rotation = 32;
  EXPECT_FAILS(make_plan(one_layer(), asked), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "this one has experts");
  asked = options(Format::kNvfp4);
  asked.layout = Layout::kModelOpt;
  EXPECT_OK(make_plan(one_layer(), asked));
  // All experts or none, as engines load them.
  asked.ignore = {"*.experts.2.*"};
  EXPECT_FAILS(make_plan(one_layer(), asked), Code::kInvalidArgument, "SPLIT_FUSION", "experts.2.");
  asked.ignore = {"*.experts.*"};
  EXPECT_OK(make_plan(one_layer(), asked));
}

TEST(GptOssPlan, ItsOwnLayoutHoldsExpertsAlone) {
  QuantOptions asked = options(Format::kMxfp4);
  asked.layout = Layout::kGptOss;
  const auto plan = make_plan(one_layer(), asked);
  ASSERT_OK(plan);
  for (const StagePlan& stage : plan->layers[0].stages) {
    for (const ModulePlan& module : stage.modules) {
      EXPECT_EQ(module.quantized, stage.stage.has_experts()) << module.linear.name;
    }
  }
  asked.ignore = {"*.experts.*"};
  EXPECT_FAILS(make_plan(one_layer(), asked), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "words for experts of every layer");
  asked = options(Format::kNvfp4);
  asked.layout = Layout::kGptOss;
  EXPECT_FAILS(make_plan(one_layer(), asked), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "holds mxfp4, not nvfp4");
  asked = options(Format::kMxfp4);
  asked.layout = Layout::kGptOss;
  const auto dense = testing::parse_config(testing::family_config("llama"));
  ASSERT_OK(dense);
  EXPECT_FAILS(make_plan(*describe(*dense), asked), Code::kInvalidArgument,
               "UNSUPPORTED_COMBINATION", "one tensor a layer");
}

}  // namespace
}  // namespace rotor
