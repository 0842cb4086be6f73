#include "worker/pipeline/shard_runner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quant/base/sha256.h"
#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"

namespace rotor::worker {
namespace {

using testing_support::MemorySink;
using testing_support::random_windows;
using testing_support::Store;

QuantOptions recipe(Propagate propagate, Sequential sequential = Sequential::kStage) {
  QuantOptions options;
  options.activations = Activations::kA4;
  options.propagate = propagate;
  options.sequential = sequential;
  return options;
}

/// Runs layers [first, end) on `ranks` ranks; `store` holds what is committed already.
Result<std::optional<EvalResult>> run(Store& store, int ranks, const QuantOptions& options,
                                      int first, int end, std::vector<int> committed,
                                      int stop_after = -1, bool evaluate = false) {
  Result<ModelFiles> model =
      open_model(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  EXPECT_OK(model);
  Result<ModelPlan> plan = make_plan(model->architecture, options);
  EXPECT_OK(plan);
  Result<std::optional<EvalResult>> result = std::optional<EvalResult>();
  rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);
    MemorySink sink(store);
    sink.stop_after(stop_after);
    ShardTask task;
    task.first_layer = first;
    task.end_layer = end;
    task.committed = committed;
    task.calibration = random_windows(6, 48, 1);
    if (evaluate) {
      task.evaluation = random_windows(5, 40, 2);
    }
    Result<std::optional<EvalResult>> mine =
        ShardRunner(*backend, comm, *model, *plan, sink, std::move(task)).run();
    if (comm.rank() == 0) {
      result = std::move(mine);
    }
  });
  return result;
}

std::map<std::string, std::string> digests(const Store& store) {
  std::map<std::string, std::string> result;
  for (const auto& [name, tensor] : store.tensors) {
    result[name] =
        sha256_hex({reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()});
  }
  return result;
}

class ShardRunnerWays : public ::testing::TestWithParam<QuantOptions> {};

TEST_P(ShardRunnerWays, AnyNumberOfRanksGivesTheSameTensors) {
  Store one;
  ASSERT_OK(run(one, 1, GetParam(), 0, 4, {}));
  EXPECT_EQ(one.computed, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(one.tensors.size(), 4U * 7U * 4U);
  for (const int ranks : {2, 3}) {
    Store many;
    ASSERT_OK(run(many, ranks, GetParam(), 0, 4, {}));
    EXPECT_EQ(digests(many), digests(one)) << ranks << " ranks";
    ASSERT_EQ(many.layers.size(), one.layers.size());
    EXPECT_EQ(many.layers[3].modules[6].relative_error, one.layers[3].modules[6].relative_error);
  }
}

TEST_P(ShardRunnerWays, ResumesBehindTheCommittedLayersToTheSameTensors) {
  Store whole;
  ASSERT_OK(run(whole, 1, GetParam(), 0, 4, {}));
  Store parts;
  const auto stopped = run(parts, 2, GetParam(), 0, 4, {}, 2);
  EXPECT_EQ(stopped.status().reason(), "DRAINING");
  EXPECT_EQ(parts.computed, (std::vector<int>{0, 1}));
  ASSERT_OK(run(parts, 1, GetParam(), 0, 4, {0, 1}));
  EXPECT_EQ(parts.computed, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(digests(parts), digests(whole));
}

INSTANTIATE_TEST_SUITE_P(Ways, ShardRunnerWays,
                         ::testing::Values(recipe(Propagate::kQuantized),
                                           recipe(Propagate::kQuantized, Sequential::kBlock),
                                           recipe(Propagate::kOriginal)),
                         [](const ::testing::TestParamInfo<QuantOptions>& way) -> std::string {
                           if (way.param.propagate == Propagate::kOriginal) {
                             return "Original";
                           }
                           return way.param.sequential == Sequential::kBlock ? "Block" : "Stage";
                         });

TEST(ShardRunner, ShardsOfOriginalActivationsAreIndependent) {
  const QuantOptions options = recipe(Propagate::kOriginal);
  Store whole;
  ASSERT_OK(run(whole, 1, options, 0, 4, {}));
  Store shards;
  ASSERT_OK(run(shards, 1, options, 2, 4, {}));
  ASSERT_OK(run(shards, 1, options, 0, 2, {2, 3}));
  EXPECT_EQ(digests(shards), digests(whole));
}

TEST(ShardRunner, TheWaysDiffer) {
  Store stage;
  Store block;
  ASSERT_OK(run(stage, 1, recipe(Propagate::kQuantized), 0, 1, {}));
  ASSERT_OK(run(block, 1, recipe(Propagate::kQuantized, Sequential::kBlock), 0, 1, {}));
  const std::string first = "model.layers.0.self_attn.q_proj.weight_packed";
  const std::string last = "model.layers.0.mlp.down_proj.weight_packed";
  EXPECT_EQ(digests(stage).at(first), digests(block).at(first));
  EXPECT_NE(digests(stage).at(last), digests(block).at(last));
}

TEST(ShardRunner, GptqBeatsRoundingOnItsOwnMeasure) {
  Store store;
  ASSERT_OK(run(store, 2, recipe(Propagate::kQuantized), 0, 4, {}));
  for (const LayerResult& layer : store.layers) {
    for (const ModuleResult& module : layer.modules) {
      EXPECT_GT(module.relative_error, 0.0) << module.name;
      EXPECT_LT(module.relative_error, module.rtn_relative_error) << module.name;
      EXPECT_EQ(module.tokens, 6 * 48) << module.name;
    }
  }
}

TEST(ShardRunner, EvaluationIsTheSameAfterAResumeAndOnAnyRanks) {
  const QuantOptions options = recipe(Propagate::kQuantized);
  Store whole;
  const auto one = run(whole, 1, options, 0, 4, {}, -1, true);
  ASSERT_TRUE(one.ok() && one->has_value());
  EXPECT_EQ((*one)->sequences, 5);
  EXPECT_EQ((*one)->tokens, 5 * 39);
  EXPECT_TRUE(std::isfinite((*one)->perplexity));
  for (const int ranks : {2, 3}) {
    const auto again = run(whole, ranks, options, 0, 4, {0, 1, 2, 3}, -1, true);
    ASSERT_TRUE(again.ok() && again->has_value());
    EXPECT_EQ((*again)->perplexity, (*one)->perplexity) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace rotor::worker
