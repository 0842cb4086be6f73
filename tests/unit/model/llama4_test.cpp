// Llama 4's config.json, in the forms in which it is published.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/architecture.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::parse_config;

json llama4(const json& keys = json::object()) {
  json config = testing::family_config("llama4_text");
  config.update({{"num_hidden_layers", 8},
                 {"intermediate_size_mlp", 20},
                 {"num_local_experts", 3},
                 {"num_experts_per_tok", 1},
                 {"no_rope_layers", json::array()},
                 {"attention_chunk_size", 16}});
  config.update(keys);
  return config;
}

TEST(Llama4, LeavesEveryFourthLayerWithoutRopeAndWithoutChunks) {
  const auto parsed = parse_config(llama4());
  ASSERT_OK(parsed);
  const auto architecture = describe(*parsed);
  ASSERT_OK(architecture);
  for (const Layer& layer : architecture->layers) {
    const Attention& attention = layer.stages[0].attention;
    const bool rotated = layer.index % 4 != 3;
    EXPECT_EQ(attention.rotated, rotated);
    EXPECT_EQ(attention.unit_norms, rotated);
    EXPECT_EQ(attention.growing, !rotated);
    EXPECT_EQ(attention.chunk, rotated ? 16 : 0);
    EXPECT_EQ(attention.sliding_window, 0);
    EXPECT_TRUE(attention.interleaved);
    EXPECT_TRUE(attention.q_norm.empty());
  }
}

TEST(Llama4, ReadsQueriesThatGrow) {
  for (const json& used : {json(true), json(4), json(nullptr)}) {  // the first files have a 4
    EXPECT_EQ(parse_config(llama4({{"attn_temperature_tuning", used}}))->query_growth,
              (QueryGrowth{8192, 0.1}));
  }
  EXPECT_FALSE(parse_config(llama4({{"attn_temperature_tuning", false}}))->query_growth);
  EXPECT_FALSE(parse_config(llama4({{"attn_temperature_tuning", 0}}))->query_growth);
  EXPECT_EQ(parse_config(llama4({{"floor_scale", 64}, {"attn_scale", 0.2}}))->query_growth,
            (QueryGrowth{64, 0.2}));
  EXPECT_FAILS(parse_config(llama4({{"attn_temperature_tuning", "yes"}})), Code::kInvalidArgument,
               "BAD_CONFIG", "true or false");
}

TEST(Llama4, KnowsItsMixturesAndTheWidthsOfTheOthers) {
  const auto every = parse_config(llama4());
  EXPECT_EQ(every->mixture_layers, std::vector<bool>(8, true));
  EXPECT_EQ(every->routing,
            (RoutingRule{3, 1, true, ScoreRule::kSigmoid, false, 1, 1, 1.0F, true}));
  const auto half = parse_config(llama4({{"interleave_moe_layer_step", 2}}));
  EXPECT_FALSE(half->is_mixture(0));
  EXPECT_TRUE(half->is_mixture(1));
  const auto listed = parse_config(llama4({{"moe_layers", {2}}}));
  ASSERT_OK(listed);
  const auto architecture = describe(*listed);
  ASSERT_OK(architecture);
  const Layer& dense = architecture->layers[0];
  EXPECT_EQ(dense.stages[2].linears[0].name, "model.layers.0.feed_forward.gate_proj");
  EXPECT_EQ(dense.stages[2].linears[0].out_features, 20);
  const Layer& mixture = architecture->layers[2];
  EXPECT_EQ(mixture.stages[2].linears[0].name,
            "model.layers.2.feed_forward.shared_expert.gate_proj");
  EXPECT_EQ(mixture.stages[2].linears[0].out_features, 12);
  EXPECT_EQ(mixture.stages[4].router, "model.layers.2.feed_forward.router");
  EXPECT_EQ(mixture.stages[4].stack.name, "model.layers.2.feed_forward.experts.gate_up_proj");
  EXPECT_EQ(mixture.stages[4].linears[5].name, "model.layers.2.feed_forward.experts.2.up_proj");
  EXPECT_EQ(mixture.stages[4].linears[5].out_features, 12);
}

TEST(Llama4, ReadsChunksByLayerTypesOrNone) {
  const json types = {"full_attention", "chunked_attention", "full_attention", "full_attention",
                      "full_attention", "full_attention",    "full_attention", "full_attention"};
  const auto typed = parse_config(llama4({{"layer_types", types}}));
  ASSERT_OK(typed);
  EXPECT_EQ(typed->window_of(0), 0);
  EXPECT_EQ(typed->window_of(1), 16);
  EXPECT_EQ(parse_config(llama4({{"attention_chunk_size", nullptr}}))->window_of(0), 0);
  EXPECT_FAILS(parse_config(llama4({{"layer_types", types}, {"attention_chunk_size", nullptr}})),
               Code::kInvalidArgument, "BAD_CONFIG", "attention_chunk_size");
  EXPECT_FAILS(parse_config(llama4({{"layer_types", json(8, "sliding_attention")}})),
               Code::kUnimplemented, "UNSUPPORTED_ATTENTION", "chunked_attention");
}

TEST(Llama4, RefusesMoreThanOneExpertAToken) {
  EXPECT_FAILS(parse_config(llama4({{"num_experts_per_tok", 2}})), Code::kUnimplemented,
               "UNSUPPORTED_ROUTING", "num_experts_per_tok");
}

}  // namespace
}  // namespace rotor
