// Every family through the pipeline, on the tiny models of tests/data/families.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"
#include "worker/pipeline/shard_runner.h"

namespace rotor::worker {
namespace {

using testing_support::MemorySink;
using testing_support::random_windows;
using testing_support::Store;

/// Windows of the tiny models' 256 tokens.
TokenWindows small_windows(int64_t sequences, unsigned seed) {
  TokenWindows windows = random_windows(sequences, 40, seed);
  for (int32_t& id : windows.ids) {
    id %= 256;
  }
  return windows;
}

class FamilyPipelineTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto model = open_model(posix_file_system(),
                            std::string(ROTOR_SOURCE_DIR "/tests/data/families/") + GetParam());
    ASSERT_OK(model);
    model_ = std::move(model).value();
    auto plan = make_plan(model_.architecture, QuantOptions());
    ASSERT_OK(plan);
    plan_ = std::move(plan).value();
  }

  double run(Store& store, int ranks, std::vector<int> committed = {}) {
    double perplexity = 0.0;
    rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
      const std::unique_ptr<Backend> backend = make_cpu_backend(1);
      MemorySink sink(store);
      ShardTask task;
      task.end_layer = static_cast<int>(plan_.layers.size());
      task.committed = committed;
      task.calibration = small_windows(16, 1);
      task.evaluation = small_windows(3, 2);
      const auto result = ShardRunner(*backend, comm, model_, plan_, sink, std::move(task)).run();
      ASSERT_OK(result);
      if (comm.rank() == 0) {
        perplexity = (*result)->perplexity;
      }
    });
    return perplexity;
  }

  ModelFiles model_;
  ModelPlan plan_;
};

TEST_P(FamilyPipelineTest, SolvesEveryModuleBetterThanRounding) {
  Store store;
  EXPECT_TRUE(std::isfinite(run(store, 1)));
  ASSERT_EQ(store.layers.size(), plan_.layers.size());
  for (size_t layer = 0; layer < store.layers.size(); ++layer) {
    size_t modules = 0;
    for (const StagePlan& stage : plan_.layers[layer].stages) {
      modules += stage.modules.size();
      for (const ModulePlan& module : stage.modules) {
        const auto codes = store.tensors.find(module.linear.name + ".weight_packed");
        ASSERT_NE(codes, store.tensors.end()) << module.linear.name;
        EXPECT_EQ(codes->second.spec.shape, (std::vector<int64_t>{module.linear.out_features,
                                                                  module.linear.in_features / 2}));
        const bool rotated = !module.linear.has_bias && !stage.stage.has_experts();
        EXPECT_EQ(module.rotation, rotated ? 16 : 0) << module.linear.name;
      }
    }
    ASSERT_EQ(store.layers[layer].modules.size(), modules);
    for (const ModuleResult& module : store.layers[layer].modules) {
      EXPECT_GT(module.relative_error, 0.0) << module.name;
      EXPECT_LT(module.relative_error, module.rtn_relative_error) << module.name;
      EXPECT_LT(module.relative_error, 0.03) << module.name;
    }
  }
}

TEST_P(FamilyPipelineTest, IsTheSameOnTwoRanksAndFromCommittedLayers) {
  Store one;
  Store two;
  const double perplexity = run(one, 1);
  EXPECT_EQ(run(two, 2), perplexity);
  ASSERT_EQ(one.tensors.size(), two.tensors.size());
  for (const auto& [name, tensor] : one.tensors) {
    EXPECT_EQ(two.tensors.at(name).bytes, tensor.bytes) << name;
  }
  std::vector<int> all;
  for (const LayerPlan& layer : plan_.layers) {
    all.push_back(layer.index);
  }
  EXPECT_EQ(run(one, 1, all), perplexity);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyPipelineTest,
                         ::testing::Values("deepseek_v3", "deepseek_v3_fp8", "deepseek_v32",
                                           "gemma2", "gemma3", "gemma3_text", "glm4_moe",
                                           "glm4_moe_lite", "glm_moe_dsa", "gpt_oss",
                                           "gpt_oss_mxfp4", "granite", "llama4", "llama4_text",
                                           "minimax_m2", "mistral", "mixtral", "olmo2", "olmo3",
                                           "phi3", "qwen2", "qwen3", "qwen3_5_moe", "qwen3_5_text",
                                           "qwen3_moe", "qwen3_next", "qwen3_vl_moe", "seed_oss",
                                           "smollm3"),
                         [](const ::testing::TestParamInfo<const char*>& tested) -> std::string {
                           return tested.param;
                         });

}  // namespace
}  // namespace rotor::worker
