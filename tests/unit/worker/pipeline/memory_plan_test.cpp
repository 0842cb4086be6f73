#include "worker/pipeline/memory_plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "quant/io/file.h"
#include "tests/support/status_matchers.h"
#include "worker/bench/shapes.h"

namespace rotor::worker {
namespace {

constexpr int64_t kGigabyte = 1'000'000'000;

ModelPlan large_plan() {
  const auto shape = bench::find_shape("llama-70b").value();
  const auto config = parse_model_config(bench::config_json(shape, 2), "config.json").value();
  return make_plan(describe(config).value(), QuantOptions()).value();
}

/// One rank of a GPU, 128 sequences of 2048 tokens.
MemoryNeeds needs_of_one_rank() {
  MemoryNeeds needs;
  needs.cut = {128, 2048, 4, 8};
  needs.rank_tokens = needs.cut.tokens();
  needs.activation_bytes = 2;
  needs.host_is_apart = true;
  return needs;
}

TEST(MemoryPlanTest, KeepsEverythingWhereThereIsNoLimit) {
  const MemoryPlan memory = plan_memory(large_plan(), needs_of_one_rank(), 0);
  EXPECT_GE(memory.kept_carry, 28672);
  EXPECT_FALSE(memory.spill);
  // The residual stream alone is 4.3 GB, the product of gate and up 15 GB.
  EXPECT_GT(memory.bytes, 30 * kGigabyte);
  EXPECT_LT(memory.bytes, 45 * kGigabyte);
}

TEST(MemoryPlanTest, GivesUpTheWidestCarryFirstAndTheResidualStreamLast) {
  const ModelPlan plan = large_plan();
  const MemoryNeeds needs = needs_of_one_rank();
  int64_t budget = plan_memory(plan, needs, 0).bytes;
  EXPECT_GE(plan_memory(plan, needs, budget).kept_carry, 28672);

  const MemoryPlan narrow = plan_memory(plan, needs, budget - 1);
  EXPECT_LT(narrow.kept_carry, 28672);
  EXPECT_GE(narrow.kept_carry, 8192);
  EXPECT_FALSE(narrow.spill);
  EXPECT_LT(narrow.bytes, budget - 10 * kGigabyte);

  const MemoryPlan smallest = plan_memory(plan, needs, 1);
  EXPECT_LT(smallest.kept_carry, 8192);
  EXPECT_TRUE(smallest.spill);
  EXPECT_LT(smallest.bytes, 20 * kGigabyte);
  EXPECT_EQ(plan_memory(plan, needs, smallest.bytes).spill, true);
}

/// Two layers of 128 experts of 768 features, 8 a token, on a width of 2048: as Qwen3-30B-A3B.
ModelPlan mixture_plan() {
  ModelConfig config;
  config.model_type = "qwen3_moe";
  config.hidden_size = 2048;
  config.intermediate_size = 6144;
  config.num_layers = 2;
  config.num_heads = 32;
  config.num_kv_heads = 4;
  config.head_dim = 128;
  config.vocab_size = 1000;
  config.max_position_embeddings = 2048;
  config.routing = {128, 8, true};
  config.expert_features = 768;
  config.mixture_layers = {true, true};
  return make_plan(describe(config).value(), QuantOptions()).value();
}

TEST(MemoryPlanTest, CountsWhatAMixtureTakes) {
  const ModelPlan plan = mixture_plan();
  const MemoryNeeds needs = needs_of_one_rank();
  const MemoryPlan memory = plan_memory(plan, needs, 0);
  // Residual stream 1.1 GB, eight products of gate and up a token 3.2 GB, weights of a layer 2.4 GB
  // twice, a wave of 32 Hessians of 17 MB in several sums.
  EXPECT_GT(memory.bytes, 8 * kGigabyte);
  EXPECT_LT(memory.bytes, 16 * kGigabyte);
  const MemoryPlan narrow = plan_memory(plan, needs, memory.bytes - 1);
  EXPECT_LT(narrow.kept_carry, 8 * 768);
  EXPECT_FALSE(narrow.spill);
}

/// The published DeepSeek-V3 with one dense layer and one of 256 experts.
ModelPlan latent_plan() {
  nlohmann::json config = nlohmann::json::parse(
      read_whole_file(posix_file_system(), ROTOR_SOURCE_DIR "/tests/data/configs/deepseek_v3.json",
                      1 << 20)
          .value());
  config["num_hidden_layers"] = 2;
  config["first_k_dense_replace"] = 1;
  const auto parsed = parse_model_config(config.dump(), "config.json").value();
  return make_plan(describe(parsed).value(), QuantOptions()).value();
}

TEST(MemoryPlanTest, CountsWhatLatentAttentionLeaves) {
  const ModelPlan plan = latent_plan();
  const MemoryNeeds needs = needs_of_one_rank();
  const MemoryPlan memory = plan_memory(plan, needs, 0);
  // Of 262,144 tokens: residual stream 3.8 GB, a shared expert's output as much again beside eight
  // products a token of 8.6 GB; weights of a mixture 23 GB twice; a wave of Hessians of 205 MB.
  EXPECT_GT(memory.bytes, 60 * kGigabyte);
  EXPECT_LT(memory.bytes, 90 * kGigabyte);
  // What is given up first are queries (24,576 features, 12.9 GB) and then the rest by width.
  const MemoryPlan narrow = plan_memory(plan, needs, memory.bytes - 1);
  EXPECT_EQ(narrow.kept_carry, 24575);
  const MemoryPlan smallest = plan_memory(plan, needs, 1);
  EXPECT_TRUE(smallest.spill);
  EXPECT_LT(smallest.bytes, memory.bytes - 10 * kGigabyte);
  EXPECT_GT(smallest.bytes, 46 * kGigabyte);
}

TEST(MemoryPlanTest, NothingIsSpilledToWhereItIsAlready) {
  MemoryNeeds needs = needs_of_one_rank();
  needs.host_is_apart = false;
  const MemoryPlan memory = plan_memory(large_plan(), needs, 1);
  EXPECT_FALSE(memory.spill);
  EXPECT_LT(memory.kept_carry, 8192);
}

TEST(MemoryPlanTest, MoreRanksNeedLessEach) {
  const ModelPlan plan = large_plan();
  MemoryNeeds needs = needs_of_one_rank();
  const int64_t alone = plan_memory(plan, needs, 0).bytes;
  needs.ranks = 2;
  needs.rank_tokens = needs.cut.tokens_of_rank(2, 0);
  EXPECT_EQ(needs.rank_tokens, 64 * 2048);
  EXPECT_LT(plan_memory(plan, needs, 0).bytes, alone);
}

TEST(MemoryPlanTest, SaysWhatItDecided) {
  MemoryPlan memory;
  memory.bytes = 12'340'000'000;
  EXPECT_EQ(memory.text(), "all carries kept, residual stream on the device, 12.3 GB");
  memory.kept_carry = 8192;
  memory.spill = true;
  EXPECT_EQ(memory.text(),
            "carries up to 8192 features kept, residual stream in host memory, 12.3 GB");
}

}  // namespace
}  // namespace rotor::worker
