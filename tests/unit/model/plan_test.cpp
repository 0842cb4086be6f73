#include "model/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

ModelConfig config() {
  return testing::plan_config(2);
}

QuantOptions options_for(Format format, int rotation) {
  QuantOptions options;
  options.scheme = *make_scheme(format, 0, DType::kBf16);
  options.rotation = rotation;
  return options;
}

Result<ModelPlan> plan_for(const QuantOptions& options, const ModelConfig& model = config()) {
  Result<Architecture> architecture = describe(model);
  EXPECT_TRUE(architecture.ok()) << architecture.status().to_string();
  return make_plan(*architecture, options);
}

const ModulePlan& module(const ModelPlan& plan, const std::string& name) {
  for (const LayerPlan& layer : plan.layers) {
    for (const StagePlan& stage : layer.stages) {
      for (const ModulePlan& found : stage.modules) {
        if (found.linear.name == name) {
          return found;
        }
      }
    }
  }
  ADD_FAILURE() << name;
  return plan.layers[0].stages[0].modules[0];
}

constexpr char kDown[] = "model.layers.1.mlp.down_proj";
constexpr char kQuery[] = "model.layers.1.self_attn.q_proj";

TEST(Plan, AMicroBatchIsLargerForExpertsWhoSeeAShareOfIt) {
  ModelConfig model = config();
  EXPECT_EQ(default_micro_batch_sequences(model, 128, 2048, 8), 4);
  EXPECT_EQ(default_micro_batch_sequences(model, 16, 2048, 8), 2);
  EXPECT_EQ(default_micro_batch_sequences(model, 128, 100'000, 8), 1);
  model.routing.experts = 8;
  model.routing.per_token = 4;
  EXPECT_EQ(default_micro_batch_sequences(model, 128, 2048, 8), 8);
  model.routing.experts = 128;
  EXPECT_EQ(default_micro_batch_sequences(model, 1024, 2048, 8), 16);
  EXPECT_EQ(default_micro_batch_sequences(model, 64, 2048, 8), 8);
}

TEST(Plan, QuantizesEveryLinearOfEveryLayer) {
  const Result<ModelPlan> plan = plan_for(options_for(Format::kNvfp4, 16));
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  ASSERT_EQ(plan->layers.size(), 2U);
  int64_t modules = 0;
  for (const LayerPlan& layer : plan->layers) {
    EXPECT_EQ(layer.stages.size(), 4U);
    for (const StagePlan& stage : layer.stages) {
      for (const ModulePlan& found : stage.modules) {
        EXPECT_TRUE(found.quantized);
        EXPECT_EQ(found.rotation, 16);
        EXPECT_TRUE(found.notes.empty());
        ++modules;
      }
    }
  }
  EXPECT_EQ(modules, 14);
}

TEST(Plan, ASmallerRotationIsTakenWhereTheBlockDoesNotDivideAndIsNoted) {
  const Result<ModelPlan> plan = plan_for(options_for(Format::kMxfp4, 128));
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_EQ(module(*plan, kQuery).rotation, 128);
  EXPECT_EQ(module(*plan, kDown).rotation, 64);
  ASSERT_EQ(module(*plan, kDown).notes.size(), 1U);
  EXPECT_EQ(module(*plan, kDown).notes[0].kind, "SMALLER_ROTATION");
}

TEST(Plan, ABiasLeavesItsStageUnrotated) {
  ModelConfig biased = config();
  biased.attention_bias = true;
  const Result<ModelPlan> plan = plan_for(options_for(Format::kNvfp4, 16), biased);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(module(*plan, kQuery).rotation, 0);
  EXPECT_EQ(module(*plan, kQuery).notes[0].kind, "UNROTATED_BIAS");
  EXPECT_EQ(module(*plan, kDown).rotation, 16);
}

ModelConfig mixture_config() {
  ModelConfig mixture = config();
  mixture.model_type = "qwen3_moe";
  mixture.routing = {4, 2, true};
  mixture.expert_features = 64;
  mixture.mixture_layers.assign(static_cast<size_t>(mixture.num_layers), true);
  return mixture;
}

TEST(Plan, ExpertsStayUnrotatedAndSaySo) {
  const Result<ModelPlan> plan = plan_for(options_for(Format::kNvfp4, 16), mixture_config());
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_EQ(module(*plan, kQuery).rotation, 16);
  for (const char* name :
       {"model.layers.0.mlp.experts.3.up_proj", "model.layers.1.mlp.experts.0.down_proj"}) {
    const ModulePlan& expert = module(*plan, name);
    EXPECT_TRUE(expert.quantized) << name;
    EXPECT_EQ(expert.rotation, 0) << name;
    ASSERT_EQ(expert.notes.size(), 1U) << name;
    EXPECT_EQ(expert.notes[0].kind, "UNROTATED_EXPERTS") << name;
  }
  const Result<ModelPlan> unrotated = plan_for(options_for(Format::kNvfp4, 0), mixture_config());
  ASSERT_TRUE(unrotated.ok());
  EXPECT_TRUE(module(*unrotated, "model.layers.0.mlp.experts.3.up_proj").notes.empty());
}

TEST(Plan, ARouterMayBeNamedAmongTheIgnored) {
  QuantOptions options = options_for(Format::kNvfp4, 16);
  options.ignore = {"*.mlp.gate"};
  EXPECT_TRUE(plan_for(options, mixture_config()).ok());
  EXPECT_EQ(plan_for(options).status().reason(), "PATTERN_WITHOUT_MATCH");
  options.ignore = {"*.experts.1.gate_proj"};
  EXPECT_EQ(plan_for(options, mixture_config()).status().reason(), "SPLIT_FUSION");
  // Engines load all experts of a layer as one.
  for (const char* some : {"*.experts.1.*", "*.down_proj"}) {
    options.ignore = {some};
    EXPECT_EQ(plan_for(options, mixture_config()).status().reason(), "SPLIT_FUSION") << some;
  }
  options.ignore = {"*.layers.1.mlp.experts.*"};
  const Result<ModelPlan> plan = plan_for(options, mixture_config());
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(module(*plan, "model.layers.0.mlp.experts.1.down_proj").quantized);
  EXPECT_FALSE(module(*plan, "model.layers.1.mlp.experts.1.down_proj").quantized);
}

TEST(Plan, IgnoredModulesStayAsTheyAre) {
  QuantOptions options = options_for(Format::kNvfp4, 16);
  options.ignore = {"*.layers.0.*", "lm_head"};
  const Result<ModelPlan> plan = plan_for(options);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_FALSE(module(*plan, "model.layers.0.mlp.up_proj").quantized);
  EXPECT_TRUE(module(*plan, "model.layers.1.mlp.up_proj").quantized);
}

TEST(Plan, OverridesChangeWhatTheyName) {
  QuantOptions options = options_for(Format::kNvfp4, 16);
  ModuleOverride change;
  change.pattern = "*.down_proj";
  change.method = Method::kRtn;
  change.damping = 0.1;
  options.overrides = {change};
  const Result<ModelPlan> plan = plan_for(options);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(module(*plan, kDown).method, Method::kRtn);
  EXPECT_EQ(module(*plan, kDown).damping, 0.1);
  EXPECT_EQ(module(*plan, kDown).scale_search, ScaleSearch::kMse);
  EXPECT_EQ(module(*plan, kQuery).method, Method::kMrGptq);
}

// faults.29
TEST(Plan, Faults29_AWidthThatTheGroupDoesNotDivideIsRefusedByName) {
  const Result<ModelPlan> plan = plan_for(options_for(Format::kInt4, 0));  // 704 % 128 = 64
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().reason(), "GROUP_DOES_NOT_DIVIDE");
  EXPECT_EQ(plan.status().details().at("module"), "model.layers.0.mlp.down_proj");
  EXPECT_NE(plan.status().message().find("--ignore"), std::string::npos);

  QuantOptions without = options_for(Format::kInt4, 0);
  without.ignore = {"*.down_proj"};
  EXPECT_TRUE(plan_for(without).ok());
}

TEST(Plan, RefusesWhatCannotBeMeant) {
  QuantOptions options = options_for(Format::kNvfp4, 24);
  EXPECT_EQ(plan_for(options).status().reason(), "BAD_ROTATION");
  options = options_for(Format::kNvfp4, 16);
  options.ignore = {"*.donw_proj"};
  EXPECT_EQ(plan_for(options).status().reason(), "PATTERN_WITHOUT_MATCH");
  options.ignore = {"*"};
  EXPECT_EQ(plan_for(options).status().reason(), "NOTHING_TO_QUANTIZE");
  const std::string endless = "re:((\\w+)\\.?)+!";
  options.ignore = {endless};
  EXPECT_EQ(plan_for(options).status().reason(), "BAD_PATTERN");
  options = options_for(Format::kNvfp4, 16);
  options.overrides.emplace_back().pattern = endless;
  EXPECT_EQ(plan_for(options).status().reason(), "BAD_PATTERN");
  options = options_for(Format::kNvfp4, 16);
  options.damping = 0.0;
  EXPECT_EQ(plan_for(options).status().reason(), "BAD_SPEC");
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    options = options_for(Format::kNvfp4, 16);
    options.least_expert_share = share;
    EXPECT_EQ(plan_for(options).status().reason(), "BAD_SPEC");
  }
}

TEST(Glob, MatchesWholeNames) {
  const std::vector<std::pair<std::string, bool>> on_down = {
      {"*.down_proj", true},
      {"down_proj", false},
      {"*", true},
      {"model.layers.?.*", true},
      {"model.layers.[12].*", true},
      {"model.layers.[!1].*", false},
      {"model.layers.[0-3].*", true},
      {"*mlp*proj", true},
      {"*mlp*proj?", false},
      {"*.down_proj*", true},
      {"", false},
      {"model.layers.[1.*", false},
  };
  for (const auto& [pattern, expected] : on_down) {
    EXPECT_EQ(glob_match(pattern, kDown), expected) << pattern;
  }
  // Many stars must not take exponential time.
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace rotor
