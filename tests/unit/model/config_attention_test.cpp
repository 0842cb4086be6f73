#include "model/config_attention.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::family_config;
using testing::parse_config;

/// A small config.json of a family with four layers.
json of(const std::string& model_type, json keys = json::object()) {
  keys["num_hidden_layers"] = 4;
  return family_config(model_type, keys);
}

std::vector<int64_t> windows(const json& config) {
  const auto parsed = parse_config(config);
  EXPECT_OK(parsed);
  std::vector<int64_t> found;
  for (int layer = 0; layer < 4; ++layer) {
    found.push_back(parsed->window_of(layer));
  }
  return found;
}

using Windows = std::vector<int64_t>;

TEST(ConfigAttention, QwenHasWindowsOnlyWhereTheyAreUsedAndOnlyInItsLastLayers) {
  for (const char* type : {"qwen2", "qwen3"}) {
    const json given = {{"sliding_window", 16}, {"max_window_layers", 3}};
    EXPECT_EQ(windows(of(type, given)), (Windows{0, 0, 0, 0})) << type;
    json used = of(type, given);
    used["use_sliding_window"] = true;
    EXPECT_EQ(windows(used), (Windows{0, 0, 0, 16})) << type;
    used["max_window_layers"] = 9;
    EXPECT_EQ(windows(used), (Windows{0, 0, 0, 0})) << type;
    used["layer_types"] = {"sliding_attention", "full_attention", "full_attention",
                           "sliding_attention"};
    EXPECT_EQ(windows(used), (Windows{16, 0, 0, 16})) << type;
  }
}

TEST(ConfigAttention, GemmaAlternatesByPatternOrByLayerTypes) {
  EXPECT_EQ(windows(of("gemma2")), (Windows{4096, 0, 4096, 0})) << "the family's defaults";
  EXPECT_EQ(windows(of("gemma3_text", {{"sliding_window", 512}})), (Windows{512, 512, 512, 512}));
  EXPECT_EQ(windows(of("gemma3_text", {{"sliding_window", 512}, {"sliding_window_pattern", 3}})),
            (Windows{512, 512, 0, 512}));
  const json types = {"full_attention", "sliding_attention", "full_attention", "full_attention"};
  EXPECT_EQ(windows(of("gemma3_text", {{"sliding_window", 512}, {"layer_types", types}})),
            (Windows{0, 512, 0, 0}));
}

TEST(ConfigAttention, Phi3HasOneWindowForAllLayersOrNone) {
  EXPECT_EQ(windows(of("phi3")), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows(of("phi3", {{"sliding_window", 2047}})), (Windows{2047, 2047, 2047, 2047}));
  EXPECT_EQ(windows(of("olmo2", {{"sliding_window", 2047}})), (Windows{0, 0, 0, 0}));
}

TEST(ConfigAttention, MistralHasTheWindowsOfItsLayerTypes) {
  EXPECT_EQ(windows(of("mistral", {{"sliding_window", 16}})), (Windows{16, 16, 16, 16}));
  const json types = {"full_attention", "sliding_attention", "full_attention", "full_attention"};
  EXPECT_EQ(windows(of("mistral", {{"sliding_window", 16}, {"layer_types", types}})),
            (Windows{0, 16, 0, 0}));
}

TEST(ConfigAttention, TakesTheFamilysHeadDimWhereTheKeyIsMissing) {
  json config = of("qwen3");
  config.erase("head_dim");
  EXPECT_EQ(parse_config(config)->head_dim, 128);
  EXPECT_EQ(parse_config(of("llama"))->head_dim, 2);
}

TEST(ConfigAttention, RefusesLayerTypesByName) {
  json config = of("gemma2", {{"layer_types", {"full_attention"}}});
  EXPECT_FAILS(parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", "1 elements");
  config["layer_types"] = {"full_attention", "full_attention", "chunked_attention",
                           "full_attention"};
  EXPECT_FAILS(parse_config(config), Code::kUnimplemented, "UNSUPPORTED_ATTENTION",
               "\"chunked_attention\" is not supported");
  config["layer_types"] = {1, 2, 3, 4};
  EXPECT_FAILS(parse_config(config), Code::kUnimplemented, "UNSUPPORTED_ATTENTION", "layer_types");
  config["layer_types"] = {"full_attention", "full_attention", "sliding_attention",
                           "full_attention"};
  config["sliding_window"] = nullptr;
  EXPECT_FAILS(parse_config(config), Code::kInvalidArgument, "BAD_CONFIG", "sliding_window");
}

TEST(ConfigAttention, RefusesAttentionThatIsNotCausal) {
  EXPECT_OK(parse_config(of("gemma3_text", {{"use_bidirectional_attention", false}})));
  EXPECT_FAILS(parse_config(of("gemma3_text", {{"use_bidirectional_attention", true}})),
               Code::kUnimplemented, "UNSUPPORTED_ATTENTION", "use_bidirectional_attention");
}

TEST(ConfigAttention, ReadsSoftCapsAndTheirAbsence) {
  const auto defaults = parse_config(of("gemma2"));
  ASSERT_OK(defaults);
  EXPECT_EQ(defaults->attention_cap, 50.0);
  EXPECT_EQ(defaults->logit_cap, 30.0);
  EXPECT_EQ(defaults->query_scalar, 256.0);
  const auto given = parse_config(of("gemma2", {{"attn_logit_softcapping", nullptr},
                                                {"final_logit_softcapping", 12.5},
                                                {"query_pre_attn_scalar", 144}}));
  ASSERT_OK(given);
  EXPECT_EQ(given->attention_cap, 0.0);
  EXPECT_EQ(given->logit_cap, 12.5);
  EXPECT_EQ(given->query_scalar, 144.0);
  EXPECT_EQ(parse_config(of("gemma3_text"))->attention_cap, 0.0);
  EXPECT_EQ(parse_config(of("gemma3_text"))->logit_cap, 0.0);
  EXPECT_EQ(parse_config(of("llama", {{"final_logit_softcapping", 30.0}}))->logit_cap, 0.0);
  EXPECT_FAILS(parse_config(of("gemma2", {{"attn_logit_softcapping", -1.0}})),
               Code::kInvalidArgument, "BAD_CONFIG", "attn_logit_softcapping");
}

}  // namespace
}  // namespace rotor
