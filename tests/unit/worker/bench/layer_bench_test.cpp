#include "worker/bench/layer_bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/support/thread_group.h"

namespace rotor::worker::bench {
namespace {

LayerBenchOptions tiny(std::string_view shape = "tiny") {
  LayerBenchOptions options;
  options.shape = find_shape(shape).value();
  options.sequences = 8;
  options.seq_len = 96;
  return options;
}

struct Outcome {
  LayerBenchResult result;
  std::string json;
};

Outcome run(int ranks, const LayerBenchOptions& options) {
  Outcome first;
  rotor::testing::run_ranks(ranks, [&](Communicator& comm) {
    const std::unique_ptr<Backend> backend = make_cpu_backend(1);
    Result<LayerBenchResult> result = run_layer_bench(*backend, comm, options);
    ASSERT_OK(result);
    if (comm.rank() == 0) {
      first.json = layer_bench_json(options, *result, backend->info(), ranks);
      first.result = std::move(result).value();
    }
  });
  return first;
}

TEST(LayerBench, TellsTimesRatesErrorsAndADigest) {
  LayerBenchOptions options = tiny();
  options.repeat = 2;
  const Outcome one = run(1, options);
  const auto json = nlohmann::json::parse(one.json);
  for (const char* key : {"shape", "settings", "device", "ranks", "seconds", "runs", "phases",
                          "ceilings", "peak_bytes", "uploaded_bytes", "modules", "digest"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["runs"].size(), 2U);
  for (const char* phase : {"forward", "hessian", "factor", "solve", "error"}) {
    EXPECT_GT(json["phases"][phase]["tflops"], 0.0) << phase;
    EXPECT_GT(json["phases"][phase]["share_of_gemm"], 0.0) << phase;
  }
  for (const char* phase : {"rotate", "scales", "dequantize", "upload"}) {
    EXPECT_GT(json["phases"][phase]["gb_per_second"], 0.0) << phase;
  }
  ASSERT_EQ(json["modules"].size(), 7U);
  for (const auto& module : json["modules"]) {
    EXPECT_GT(module["relative_error"], 0.0);
    EXPECT_LT(module["relative_error"], module["rtn_relative_error"]) << module["name"];
  }
  // A code of half a byte and a sixteenth of a scale a weight, and a global scale a module.
  constexpr int64_t kWeights = 128 * 128 * 2 + 64 * 128 * 2 + 3 * 128 * 384;
  EXPECT_EQ(json["uploaded_bytes"], kWeights / 2 + kWeights / 16 + 7 * 4);
  EXPECT_GT(json["peak_bytes"], 0);
}

TEST(LayerBench, AnyNumberOfRanksGivesTheSameDigest) {
  const LayerBenchOptions options = tiny();
  const std::string one = run(1, options).result.digest;
  EXPECT_EQ(one.size(), 64U);
  for (const int ranks : {2, 3}) {
    EXPECT_EQ(run(ranks, options).result.digest, one) << ranks << " ranks";
  }
  LayerBenchOptions other = options;
  other.seed = 1;
  EXPECT_NE(run(1, other).result.digest, one);
}

TEST(LayerBench, TakesMixtures) {
  const Outcome one = run(1, tiny("tiny-moe"));
  EXPECT_EQ(one.result.waited.modules.size(), 4U + 8U * 3U);
  EXPECT_GT(one.result.waited.phases.begin()->second.seconds, 0.0);
  EXPECT_EQ(run(2, tiny("tiny-moe")).result.digest, one.result.digest);
}

TEST(LayerBench, WhereActivationsLieDoesNotChangeTheDigest) {
  LayerBenchOptions options = tiny();
  for (const Sequential sequential : {Sequential::kStage, Sequential::kBlock}) {
    options.quant.sequential = sequential;
    options.memory = std::nullopt;
    const std::string kept = run(1, options).result.digest;
    options.memory = MemoryPlan{.kept_carry = 0, .spill = true, .bytes = 0};
    EXPECT_EQ(run(2, options).result.digest, kept);
  }
}

}  // namespace
}  // namespace rotor::worker::bench
