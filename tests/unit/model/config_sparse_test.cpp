// What config.json says of an indexer (model/config_latent.h), by the published configs' values.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "model/config_latent.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::parse_config;

json sparse(const std::string& type, const json& keys = json::object()) {
  json config = testing::small_config();
  config.update({{"model_type", type},
                 {"num_hidden_layers", 6},
                 {"num_key_value_heads", 4},
                 {"max_position_embeddings", 163840},
                 {"q_lora_rank", 6},
                 {"kv_lora_rank", 4},
                 {"qk_nope_head_dim", 4},
                 {"qk_rope_head_dim", 2},
                 {"v_head_dim", 4},
                 {"n_routed_experts", 16},
                 {"num_experts_per_tok", 2},
                 {"moe_intermediate_size", 4}});
  config.update(keys);
  return config;
}

std::vector<bool> own_indexers(const json& config) {
  const auto parsed = parse_config(config);
  EXPECT_OK(parsed);
  return parsed->latent->indexer->layers;
}

TEST(ConfigSparse, ReadsDeepseeksIndexer) {
  const auto parsed = parse_config(sparse("deepseek_v32", {{"index_topk", 2048}}));
  ASSERT_OK(parsed);
  const IndexerConfig& indexer = *parsed->latent->indexer;
  EXPECT_EQ(indexer.chosen, 2048);
  EXPECT_EQ(indexer.heads, 64);
  EXPECT_EQ(indexer.head_dim, 128);
  EXPECT_EQ(indexer.layers, std::vector<bool>(6, true));
  EXPECT_EQ(parsed->longest_sequence().tokens, 2048);
  EXPECT_STREQ(parsed->longest_sequence().key, "index_topk");
  EXPECT_EQ(parsed->routing.groups, 8);
  // Shorter than what an indexer chooses, the length of the embedding counts.
  const auto short_one = parse_config(sparse("deepseek_v32", {{"max_position_embeddings", 128}}));
  EXPECT_STREQ(short_one->longest_sequence().key, "max_position_embeddings");
}

TEST(ConfigSparse, ReadsWhichLayersOfGlmShareAnIndexer) {
  const std::vector<bool> every_other = {true, true, false, true, false, true};
  EXPECT_EQ(own_indexers(sparse("glm_moe_dsa")), std::vector<bool>(6, true));
  EXPECT_EQ(own_indexers(sparse("glm_moe_dsa", {{"index_topk_freq", 2}})), every_other);
  EXPECT_EQ(
      own_indexers(sparse("glm_moe_dsa", {{"index_topk_freq", 4}, {"index_skip_topk_offset", 3}})),
      (std::vector<bool>{true, true, true, false, false, false}));
  EXPECT_EQ(own_indexers(sparse("glm_moe_dsa", {{"index_topk_pattern", "FFSFSF"}})), every_other);
  EXPECT_EQ(own_indexers(
                sparse("glm_moe_dsa",
                       {{"index_topk_freq", 1},
                        {"indexer_types", {"full", "full", "shared", "full", "shared", "full"}}})),
            every_other);
}

TEST(ConfigSparse, DescribesTheIndexerAsWhatIsCopied) {
  const auto parsed = parse_config(sparse("glm_moe_dsa", {{"index_topk_pattern", "FSSSSS"}}));
  ASSERT_OK(parsed);
  const auto architecture = describe(*parsed);
  ASSERT_OK(architecture);
  const std::vector<CopiedTensor>& copied = architecture->layers[0].stages[0].copied;
  ASSERT_EQ(copied.size(), 5U);
  EXPECT_EQ(copied[0].name, "model.layers.0.self_attn.indexer.wq_b.weight");
  EXPECT_EQ(copied[0].shape, (std::vector<int64_t>{32 * 128, 6}));
  EXPECT_TRUE(architecture->layers[1].stages[0].copied.empty());
}

TEST(ConfigSparse, RefusesWhatCannotBe) {
  const auto refused = [](const std::string& type, const json& keys, const std::string& text) {
    EXPECT_FAILS(parse_config(sparse(type, keys)), Code::kInvalidArgument, "BAD_CONFIG", text);
  };
  refused("deepseek_v32", {{"rope_interleave", false}}, "pairs neighbours");
  refused("deepseek_v32", {{"q_lora_rank", nullptr}}, "the indexer reads the queries' latent");
  refused("deepseek_v32", {{"index_topk", 0}}, "index_topk");
  refused("glm_moe_dsa", {{"index_topk_pattern", "FXS"}}, "an F or an S for each of the 6 layers");
  refused("glm_moe_dsa", {{"index_topk_pattern", "SFFFFF"}}, "none before it to share");
  EXPECT_FAILS(parse_config(sparse("glm_moe_dsa", {{"indexer_types", json(6, "some")}})),
               Code::kUnimplemented, "UNSUPPORTED_CONFIG", "full");
  refused("glm4_moe_lite", {{"head_dim", 64}}, "it must be qk_rope_head_dim");
}

TEST(ConfigSparse, ReadsTheKindsOfMlps) {
  const auto parsed = parse_config(
      sparse("glm4_moe_lite",
             {{"first_k_dense_replace", 4},
              {"mlp_layer_types", {"dense", "sparse", "dense", "sparse", "sparse", "dense"}}}));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->mixture_layers, (std::vector<bool>{false, true, false, true, true, false}));
  EXPECT_EQ(parse_config(sparse("glm4_moe_lite"))->mixture_layers,
            (std::vector<bool>{false, true, true, true, true, true}));
  EXPECT_FAILS(parse_config(sparse("glm4_moe_lite", {{"mlp_layer_types", json(6, "moe")}})),
               Code::kUnimplemented, "UNSUPPORTED_CONFIG", "dense and sparse");
}

}  // namespace
}  // namespace rotor
