#include "model/plan_layout.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

ModelConfig config() {
  return testing::plan_config(1);
}

QuantOptions options_for(Layout layout, Format format, Activations activations, int rotation) {
  QuantOptions options;
  options.layout = layout;
  options.scheme = *make_scheme(format, 0, DType::kBf16, layout);
  options.activations = activations;
  options.rotation = rotation;
  return options;
}

Result<ModelPlan> plan_for(const QuantOptions& options, const ModelConfig& model = config()) {
  ROTOR_ASSIGN_OR_RETURN(const Architecture architecture, describe(model));
  return make_plan(architecture, options);
}

constexpr Activations kA16 = Activations::kA16;
constexpr Activations kA4 = Activations::kA4;

TEST(PlanLayout, RefusesWhatTheLayoutCannotSayWithTheRemedy) {
  const auto refused = [](const QuantOptions& options, const char* words) {
    EXPECT_FAILS(plan_for(options), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", words);
  };
  refused(options_for(Layout::kModelOpt, Format::kNvfp4, kA4, 16), "add --rotation none");
  refused(options_for(Layout::kModelOpt, Format::kMxfp4, kA4, 0), "--layout compressed-tensors");
  refused(options_for(Layout::kModelOpt, Format::kInt4, kA16, 0), "holds nvfp4, not int4");
  refused(options_for(Layout::kFpQuant, Format::kInt4, kA4, 32), "not int4");
  refused(options_for(Layout::kFpQuant, Format::kNvfp4, kA16, 16), "add --activations a4");
  refused(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 0), "add --rotation 16");
  refused(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 256), "16 to 128, not 256");
  refused(options_for(Layout::kFpQuant, Format::kMxfp4, kA4, 16), "add --rotation 32");
  refused(options_for(Layout::kCompressedTensors, Format::kInt4, kA4, 0), "add --activations a16");
}

TEST(PlanLayout, FpQuantHasOneBlockForAll) {
  EXPECT_FAILS(plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 128)),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "down_proj has 704 input features, no multiple of 128: choose --rotation 64");
  ModelConfig narrow = config();
  narrow.intermediate_size = 736;  // 32 * 23
  EXPECT_FAILS(plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 64), narrow),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "choose --rotation 32");
  const auto plan = plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 64));
  ASSERT_OK(plan);
  for (const StagePlan& stage : plan->layers[0].stages) {
    for (const ModulePlan& module : stage.modules) {
      EXPECT_EQ(module.rotation, 64);
      EXPECT_TRUE(module.notes.empty());
    }
  }
}

TEST(PlanLayout, FpQuantRotatesLinearsWithABias) {
  ModelConfig biased = config();
  biased.attention_bias = true;
  const auto plan = plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 16), biased);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->layers[0].stages[0].modules[0].rotation, 16);
  EXPECT_TRUE(plan->layers[0].stages[0].modules[0].notes.empty());
}

TEST(PlanLayout, FpQuantTakesModelsInBf16Alone) {
  ModelConfig half = config();
  half.dtype = DType::kF16;
  EXPECT_FAILS(plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 16), half),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "this one is in F16");
  EXPECT_OK(plan_for(options_for(Layout::kModelOpt, Format::kNvfp4, kA4, 0), half));
}

TEST(PlanLayout, FpQuantTakesNoExperts) {
  ModelConfig mixture = config();
  mixture.model_type = "qwen3_moe";
  mixture.routing = {4, 2, true};
  mixture.expert_features = 64;
  mixture.mixture_layers = {true};
  EXPECT_FAILS(plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 16), mixture),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION", "this one has experts");
  EXPECT_OK(plan_for(options_for(Layout::kModelOpt, Format::kNvfp4, kA4, 0), mixture));
}

TEST(PlanLayout, FpQuantTakesNoTowers) {
  ModelConfig wrapped = config();
  wrapped.wrapper = "gemma3";
  EXPECT_FAILS(plan_for(options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 16), wrapped),
               Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "the tower of a \"gemma3\" model");
  EXPECT_OK(plan_for(options_for(Layout::kCompressedTensors, Format::kNvfp4, kA4, 16), wrapped));
}

TEST(PlanLayout, FusedLinearsAreIgnoredTogether) {
  QuantOptions options = options_for(Layout::kCompressedTensors, Format::kNvfp4, kA16, 16);
  options.ignore = {"*.k_proj"};
  EXPECT_FAILS(plan_for(options), Code::kInvalidArgument, "SPLIT_FUSION",
               "k_proj is ignored and model.layers.0.self_attn.q_proj is not");
  options.ignore = {"*.[qkv]_proj", "*.down_proj"};
  EXPECT_OK(plan_for(options));
  options = options_for(Layout::kFpQuant, Format::kNvfp4, kA4, 16);
  options.ignore = {"*.down_proj"};
  EXPECT_OK(plan_for(options));
  options.ignore = {"*.[qkv]_proj"};
  EXPECT_FAILS(plan_for(options), Code::kInvalidArgument, "UNSUPPORTED_COMBINATION",
               "the ignored model.layers.0.self_attn.q_proj");
}

}  // namespace
}  // namespace rotor
