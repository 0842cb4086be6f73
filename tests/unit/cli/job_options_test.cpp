#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "ops/cli/options.h"
#include "tests/support/status_matchers.h"

namespace rotor::cli {
namespace {

v1::JobSpec parse(const std::string& line) {
  CLI::App app;
  JobOptions options;
  add_job_options(app, options);
  app.parse("model --output out " + line, false);
  return options.spec;
}

std::string refusal(const std::string& line) {
  try {
    parse(line);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

struct Case {
  const char* line;
  std::function<bool(const v1::JobSpec&)> holds;
};

TEST(JobOptions, EachOptionSetsItsField) {
  const Case cases[] = {
      {"--format mxfp4", [](const auto& s) { return s.format() == v1::FORMAT_MXFP4; }},
      {"--format int4 --group-size 32", [](const auto& s) { return s.group_size() == 32; }},
      {"--method rtn", [](const auto& s) { return s.method() == v1::METHOD_RTN; }},
      {"--activations a4", [](const auto& s) { return s.activations() == v1::ACTIVATIONS_A4; }},
      {"--rotation none", [](const auto& s) { return s.has_rotation() && s.rotation() == 0; }},
      {"--rotation 256", [](const auto& s) { return s.rotation() == 256; }},
      {"--preset vllm-mxfp4", [](const auto& s) { return s.preset() == "vllm-mxfp4"; }},
      {"--serve-on vllm,gpu=hopper,tp=2 --serve-on sglang",
       [](const auto& s) {
         return s.serve_on_size() == 2 && s.serve_on(0) == "vllm,tp=2,gpu=hopper";
       }},
      {"--scale-search absmax",
       [](const auto& s) { return s.scale_search() == v1::SCALE_SEARCH_ABSMAX; }},
      {"--act-order", [](const auto& s) { return s.has_act_order() && s.act_order(); }},
      {"--no-act-order", [](const auto& s) { return s.has_act_order() && !s.act_order(); }},
      {"--damping 0.02", [](const auto& s) { return s.damping() == 0.02; }},
      {"--least-expert-share 0.02", [](const auto& s) { return s.least_expert_share() == 0.02; }},
      {"--refine 0", [](const auto& s) { return s.has_refine_passes() && s.refine_passes() == 0; }},
      {"--damping 1", [](const auto& s) { return s.damping() == 1; }},
      {"--propagate original",
       [](const auto& s) { return s.propagate() == v1::PROPAGATE_ORIGINAL; }},
      {"--sequential block", [](const auto& s) { return s.sequential() == v1::SEQUENTIAL_BLOCK; }},
      {"--layout fp-quant", [](const auto& s) { return s.layout() == v1::LAYOUT_FP_QUANT; }},
      {"--layout modelopt", [](const auto& s) { return s.layout() == v1::LAYOUT_MODELOPT; }},
      {"--ignore a.* --ignore b", [](const auto& s) { return s.ignore_size() == 2; }},
      {"--override a:damping=1 --override b:method=rtn",
       [](const auto& s) {
         return s.overrides_size() == 2 && s.overrides(1).method() == v1::METHOD_RTN;
       }},
      {"--calibration a b --calibration c",
       [](const auto& s) { return s.calibration().files_size() == 3; }},
      {"--sequences 7", [](const auto& s) { return s.calibration().sequences() == 7; }},
      {"--seq-len 9", [](const auto& s) { return s.calibration().seq_len() == 9; }},
      {"--seed 18446744073709551615",
       [](const auto& s) { return s.calibration().seed() == UINT64_MAX; }},
      {"--calibration-mode document",
       [](const auto& s) { return s.calibration().mode() == v1::CALIBRATION_MODE_DOCUMENT; }},
      {"--max-shard-size 500MB", [](const auto& s) { return s.max_shard_size() == 500000000; }},
      {"--lanes 4", [](const auto& s) { return s.plan().lanes() == 4; }},
      {"--micro-batch 3", [](const auto& s) { return s.plan().micro_batch_sequences() == 3; }},
      {"--limit-fallbacks 0",
       [](const auto& s) {
         return s.limits().has_max_fallback_share() && s.limits().max_fallback_share() == 0;
       }},
      {"--eval-text t --eval-sequences 5 --eval-seq-len 6",
       [](const auto& s) {
         return s.evaluation().files(0) == "t" && s.evaluation().sequences() == 5 &&
                s.evaluation().seq_len() == 6;
       }},
  };
  for (const Case& c : cases) {
    EXPECT_TRUE(c.holds(parse(c.line))) << c.line;
  }
}

TEST(JobOptions, WhatIsNotGivenIsLeftToTheCoordinator) {
  v1::JobSpec expected;
  expected.set_model("model");
  expected.set_output("out");
  expected.set_format(v1::FORMAT_UNSPECIFIED);  // finish_job_spec gives it, or the preset
  EXPECT_EQ(parse("").SerializeAsString(), expected.SerializeAsString());
}

TEST(JobOptions, RefusesValuesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"--format fp5", "nvfp4|mxfp4|int4"},
      {"--rotation 48", "--rotation"},
      {"--serve-on vllm,gpu=h100", "no GPU 'h100'"},
      {"--preset fast", "there are any, vllm-blackwell"},
      {"--damping -1", "--damping"},
      {"--damping 0", "above 0, at most 1"},
      {"--micro-batch 4097", "1 to 4096"},
      {"--sequences 1048577", "1 to 1048576"},
      {"--damping nan", "--damping"},
      {"--damping lots", "--damping"},
      {"--limit-fallbacks 1.5", "--limit-fallbacks"},
      {"--sequences 0", "--sequences"},
      {"--seed -1", "--seed"},
      {"--max-shard-size huge", "such as 5GB"},
      {"--override x", "no override"},
      {"--eval-sequences 3", "--eval-text"},
      {"--frobnicate", "--frobnicate"},
  };
  for (const auto& [line, words] : cases) {
    const std::string message = refusal(line);
    EXPECT_NE(message.find(words), std::string::npos) << line << " gave '" << message << "'";
  }
}

TEST(FinishJobSpec, NamesTheOptionThatIsMissing) {
  v1::JobSpec spec = parse("");
  EXPECT_FAILS(finish_job_spec(spec), Code::kInvalidArgument, "USAGE", "--calibration");
}

TEST(FinishJobSpec, MakesPathsAbsolute) {
  v1::JobSpec spec = parse("--calibration ./a/../b.txt /c.txt --eval-text e.txt");
  spec.set_output("dir/out/");
  ASSERT_OK(finish_job_spec(spec));
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(spec.model(), here + "/model");
  EXPECT_EQ(spec.output(), here + "/dir/out");
  EXPECT_EQ(spec.calibration().files(0), here + "/b.txt");
  EXPECT_EQ(spec.calibration().files(1), "/c.txt");
  EXPECT_EQ(spec.evaluation().files(0), here + "/e.txt");
}

}  // namespace
}  // namespace rotor::cli
