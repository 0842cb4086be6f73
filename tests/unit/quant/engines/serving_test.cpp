#include "quant/engines/serving.h"

#include <algorithm>

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

/// A dense layer's o and down, 256 and 768 wide, and what else decides.
ServedCheckpoint checkpoint(Layout layout, Format format, Activations activations, int block,
                            const std::string& model_type = "llama") {
  const int64_t group = format == Format::kInt4 ? 128 : 0;
  const Result<QuantScheme> scheme = make_scheme(format, group, DType::kBf16, layout);
  EXPECT_OK(scheme);
  return served_checkpoint(model_type, layout, *scheme, activations,
                           {{"model.layers.0.self_attn.o_proj", 256, 256, block},
                            {"model.layers.0.mlp.down_proj", 256, 768, block}},
                           {.cut = {16}, .shared = {2}});
}

ServedCheckpoint plain(Format format, int block = 0, Activations activations = Activations::kA16) {
  return checkpoint(Layout::kCompressedTensors, format, activations, block);
}

ServedCheckpoint with(ServedCheckpoint checkpoint, Trait trait) {
  checkpoint.traits.insert(trait);
  return checkpoint;
}

ServedCheckpoint with_heads(Heads heads) {
  ServedCheckpoint served = plain(Format::kNvfp4);
  served.heads = std::move(heads);
  return served;
}

Status check(const ServedCheckpoint& checkpoint, const char* target) {
  return check_target(checkpoint, parse_serve_target(target).value());
}

Verdict verdict(const ServedCheckpoint& checkpoint, const char* target) {
  return judge(checkpoint, parse_serve_target(target).value()).verdict;
}

constexpr Format kNv = Format::kNvfp4;
constexpr Format kMx = Format::kMxfp4;
constexpr Format kI4 = Format::kInt4;

TEST(Serving, WhatDefaultsMakeRunsEverywhereThatHasTheFormat) {
  for (const char* target : {"vllm", "vllm,tp=2", "sglang", "sglang,tp=4"}) {
    EXPECT_OK(check(plain(kNv), target));
    EXPECT_OK(check(plain(kI4), target == std::string("sglang,tp=4") ? "sglang,tp=2" : target));
  }
  EXPECT_OK(check(plain(kMx), "vllm,tp=8"));
  EXPECT_OK(check(plain(kNv), "transformers"));
  EXPECT_OK(check(checkpoint(Layout::kModelOpt, kNv, Activations::kA16, 0), "tensorrt-llm"));
}

TEST(Serving, Mxfp4WeightsRunAsW4A4OnBlackwellAndAreNotRefused) {
  EXPECT_EQ(verdict(plain(kMx), "vllm,gpu=hopper"), Verdict::kRuns);
  EXPECT_EQ(verdict(plain(kMx), "vllm,gpu=blackwell"), Verdict::kRunsAsW4A4);
  EXPECT_EQ(verdict(plain(kMx), "vllm"), Verdict::kRunsAsW4A4);
  EXPECT_OK(check(plain(kMx), "vllm,gpu=blackwell"));
}

/// One refusal: what is asked for, and words of what the user reads.
struct Refusal {
  ServedCheckpoint checkpoint;
  const char* target;
  const char* why;
  const char* remedy;
};

std::vector<Refusal> refusals() {
  constexpr Activations kA16 = Activations::kA16;
  constexpr Activations kA4 = Activations::kA4;
  constexpr Layout kCt = Layout::kCompressedTensors;
  return {
      {checkpoint(kCt, kI4, kA16, 0, "gpt_oss"), "vllm", "under other names", "--layout gpt-oss"},
      {checkpoint(kCt, kNv, kA16, 0, "gpt_oss"), "sglang", "skips experts", "--layout gpt-oss"},
      {checkpoint(Layout::kModelOpt, kNv, kA16, 0, "gpt_oss"), "tensorrt-llm", "nobody looked",
       "--layout gpt-oss"},
      {plain(kMx, 128), "vllm,tp=2", "NotImplementedError", "tp=1"},
      {with(plain(kMx, 128), Trait::kFusedOnDisk), "vllm", "KeyError", "--rotation none"},
      {checkpoint(kCt, kMx, kA16, 128, "olmo2"), "vllm", "renames", "--rotation none"},
      {plain(kNv, 16), "vllm,gpu=hopper", "AssertionError", "--rotation none"},
      {plain(kNv, 128), "vllm,gpu=blackwell", "W4A4 kernels", "--rotation none"},
      {checkpoint(Layout::kFpQuant, kNv, kA4, 16), "vllm,gpu=hopper", "capability 10.0",
       "--layout compressed-tensors"},
      {plain(kMx, 128), "sglang", "transform_config", "--rotation none"},
      {plain(kMx), "sglang", "no MXFP4", "--format nvfp4"},
      {checkpoint(Layout::kFpQuant, kNv, kA4, 16), "sglang", "no fp_quant",
       "--layout compressed-tensors"},
      {plain(kNv, 16), "tensorrt-llm", "transform_config", "--rotation none"},
      {plain(kNv), "tensorrt-llm", "asks the config", "--layout modelopt"},
      {checkpoint(Layout::kModelOpt, kNv, kA4, 0), "tensorrt-llm,gpu=hopper", "Blackwell",
       "--activations a16"},
      {plain(kMx, 128), "transformers", "transform_config", "--rotation none"},
      {checkpoint(kCt, kI4, kA16, 0, "gpt_oss"), "transformers", "does not find the experts",
       "--layout gpt-oss"},
      {with(plain(kNv), Trait::kExperts), "transformers", "global scale", "--format mxfp4"},
      {checkpoint(Layout::kModelOpt, kNv, kA16, 0), "transformers", "no modelopt",
       "--layout compressed-tensors"},
      // Sizes that do not divide.
      {plain(kI4), "vllm,tp=4", "an input of 256 columns",
       "tp=2, or choose a smaller --group-size"},
      {plain(kMx), "vllm,tp=3", "16 heads", "tp=8"},
      {plain(kMx), "vllm,tp=16", "an input of 256 columns", "tp=8"},
      {with_heads({.cut = {28}, .shared = {4}}), "vllm,tp=8", "28 heads", "serve with tp=4"},
      {with_heads({.cut = {24}, .shared = {3}}), "vllm,tp=2", "3 heads", "serve with tp=1"},
      {with_heads({.cut = {16, 32}, .shared = {}}), "sglang,tp=32", "16 heads", "tp=16"},
      // What nobody looked at.
      {plain(kMx), "tensorrt-llm", "not known to run", "leave --serve-on out"},
  };
}

TEST(Serving, EveryRefusalSaysTheRuleAndTheOption) {
  for (Refusal refusal : refusals()) {
    if (refusal.checkpoint.model_type == "gpt_oss") {
      refusal.checkpoint.traits.insert(Trait::kGptOss);
    }
    const Status status = check(refusal.checkpoint, refusal.target);
    EXPECT_FAILS(status, Code::kInvalidArgument, "NOT_SERVABLE", refusal.why);
    EXPECT_FAILS(status, Code::kInvalidArgument, "NOT_SERVABLE", refusal.remedy);
  }
}

TEST(Serving, EveryRuleThatRefusesIsOneOfTheRefusals) {
  for (const EngineRule& rule : engine_rules()) {
    if (serves(rule.verdict)) {
      continue;
    }
    const std::vector<Refusal> all = refusals();
    EXPECT_TRUE(
        std::any_of(all.begin(), all.end(),
                    [&](const Refusal& refusal) {
                      return std::string(refusal.target).starts_with(to_string(rule.engine)) &&
                             rule.why.find(refusal.why) != std::string_view::npos;
                    }))
        << title(rule.engine) << ": " << rule.why;
  }
}

TEST(Serving, TraitsComeFromNamesAndFamily) {
  const auto served = [](const char* name, const char* family) {
    return served_checkpoint(family, Layout::kCompressedTensors, {}, Activations::kA16,
                             {{name, 64, 64, 0}}, {});
  };
  EXPECT_TRUE(
      served("model.layers.0.mlp.gate_up_proj", "phi3").traits.contains(Trait::kFusedOnDisk));
  EXPECT_TRUE(
      served("model.layers.0.mlp.experts.1.down_proj", "gpt_oss").traits.contains(Trait::kGptOss));
  EXPECT_FALSE(
      served("model.layers.0.self_attn.q_proj", "gpt_oss").traits.contains(Trait::kGptOss));
  EXPECT_TRUE(served("model.layers.0.mlp.up_proj", "olmo2").traits.contains(Trait::kRenamed));
  EXPECT_TRUE(served("model.layers.0.mlp.up_proj", "llama").traits.empty());
}

TEST(Serving, LinesSayWhereItRunsAndWhereNot) {
  const auto has = [](const std::vector<std::string>& lines, const char* line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  };
  const std::vector<std::string> still = serving_lines(plain(kNv));
  EXPECT_TRUE(has(still, "vLLM 0.25, 0.33: runs (any GPU, tensor parallelism up to 16)"))
      << still[0];
  EXPECT_TRUE(has(still, "SGLang 0.5.23: runs (any GPU, tensor parallelism up to 16)"));
  const std::vector<std::string> online = serving_lines(plain(kNv, 128));
  EXPECT_TRUE(has(online, "vLLM 0.25: runs (any GPU, tensor parallelism 1)"));
  EXPECT_TRUE(has(online, "vLLM 0.33: runs (Ampere, Hopper, tensor parallelism 1)"));
  EXPECT_EQ(engines_that_run(plain(kMx, 128)), std::vector<Engine>{Engine::kVllm});
}

}  // namespace
}  // namespace rotor
