#include "model/config_rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::family_config;
using testing::parse_config;

json of(const std::string& model_type, json keys = json::object()) {
  keys["head_dim"] = 8;
  json config = family_config(model_type, keys);
  if (!keys.contains("rope_theta")) {
    config.erase("rope_theta");
  }
  return config;
}

json longrope() {
  return {{"type", "longrope"},
          {"short_factor", {1.0, 1.5, 2.0, 3.0}},
          {"long_factor", {1.0, 4.0, 8.0, 16.0}}};
}

TEST(ConfigRope, Gemma3HasAnglesOfItsOwnInLayersWithAWindow) {
  const auto defaults = parse_config(of("gemma3_text"));
  ASSERT_OK(defaults);
  EXPECT_EQ(defaults->rope.theta, 1e6);
  ASSERT_TRUE(defaults->local_rope.has_value());
  EXPECT_EQ(defaults->local_rope->theta, 10000.0);
  EXPECT_FALSE(parse_config(of("gemma2"))->local_rope.has_value());

  const auto four = parse_config(
      of("gemma3_text", {{"rope_theta", 2e6},
                         {"rope_local_base_freq", 5000},
                         {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}}));
  const json by_type = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 2e6}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 5000}}}};
  const auto five = parse_config(of("gemma3_text", {{"rope_parameters", by_type}}));
  for (const auto* config : {&four, &five}) {
    ASSERT_OK(*config);
    EXPECT_EQ((*config)->rope.type, RopeType::kLinear);
    EXPECT_EQ((*config)->rope.factor, 8.0);
    EXPECT_EQ((*config)->rope.theta, 2e6);
    EXPECT_EQ((*config)->local_rope->type, RopeType::kDefault);
    EXPECT_EQ((*config)->local_rope->theta, 5000.0);
  }
}

TEST(ConfigRope, NamesTheLayerTypeOfABadKey) {
  const json by_type = {{"sliding_attention", {{"rope_type", "proportional"}}}};
  EXPECT_FAILS(parse_config(of("gemma3_text", {{"rope_parameters", by_type}})),
               Code::kUnimplemented, "UNSUPPORTED_ROPE",
               "\"rope_parameters.sliding_attention.rope_type\" is \"proportional\"");
  const json flat = {{"rope_type", "default"}, {"rope_theta", 5000}};
  EXPECT_FAILS(parse_config(of("gemma3_text", {{"rope_parameters", flat}})), Code::kInvalidArgument,
               "BAD_CONFIG", "full_attention and sliding_attention");
}

TEST(ConfigRope, TakesRopeScalingWhereAFileHasBothAsTransformersDoes) {
  const json linear = {{"type", "linear"}, {"factor", 8.0}};
  const json plain = {{"rope_type", "default"}, {"rope_theta", 500.0}};
  const auto both =
      parse_config(of("llama", {{"rope_scaling", linear}, {"rope_parameters", plain}}));
  ASSERT_OK(both);
  EXPECT_EQ(both->rope.type, RopeType::kLinear);
  EXPECT_EQ(both->rope.theta, 10000.0) << "nothing is left of the other";
  const auto empty =
      parse_config(of("llama", {{"rope_scaling", json::object()}, {"rope_parameters", plain}}));
  EXPECT_EQ(empty->rope.theta, 500.0);
  const json unknown = {{"rope_type", "proportional"}};
  EXPECT_FAILS(parse_config(of("llama", {{"rope_scaling", unknown}, {"rope_parameters", plain}})),
               Code::kUnimplemented, "UNSUPPORTED_ROPE",
               "\"rope_scaling.rope_type\" is \"proportional\"");
  const json by_type = {{"full_attention", plain}, {"sliding_attention", {{"rope_theta", 50.0}}}};
  const auto gemma =
      parse_config(of("gemma3_text", {{"rope_scaling", linear}, {"rope_parameters", by_type}}));
  ASSERT_OK(gemma);
  EXPECT_EQ(gemma->local_rope->theta, 50.0);
  EXPECT_FAILS(parse_config(of("llama", {{"rope_parameters", by_type}})), Code::kInvalidArgument,
               "BAD_CONFIG", "one embedding for all layers");
}

TEST(ConfigRope, StretchesNoWindowThatTheModelHasPositionsFor) {
  const auto config = parse_config(of(
      "llama", {{"rope_theta", 500.0}, {"rope_scaling", {{"type", "dynamic"}, {"factor", 4.0}}}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->rope.type, RopeType::kDefault);
  EXPECT_EQ(config->rope.theta, 500.0);
  EXPECT_FAILS(parse_config(of("llama", {{"rope_scaling", {{"type", "dynamic"}}}})),
               Code::kInvalidArgument, "BAD_CONFIG", "rope_scaling.factor");
}

TEST(ConfigRope, IsADefaultOneWhereItsTypeIsLeftOut) {
  const auto config = parse_config(of("llama", {{"rope_parameters", {{"rope_theta", 500.0}}}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->rope.type, RopeType::kDefault);
  EXPECT_EQ(config->rope.theta, 500.0);
}

TEST(ConfigRope, RotatesAPartOfAHeadForFamiliesThatDo) {
  EXPECT_EQ(parse_config(of("phi3"))->rope.rotary_features(8), 8);
  EXPECT_EQ(parse_config(of("phi3", {{"partial_rotary_factor", 0.75}}))->rope.rotary_features(8),
            6);
  const json inside = {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}};
  EXPECT_EQ(parse_config(of("phi3", {{"rope_parameters", inside}}))->rope.rotary_features(8), 4);
  for (const double share : {0.1, 0.4, 1.5, 1e300}) {
    EXPECT_FAILS(parse_config(of("phi3", {{"partial_rotary_factor", share}})),
                 Code::kInvalidArgument, "BAD_CONFIG", "partial_rotary_factor")
        << share;
  }
  EXPECT_FAILS(parse_config(of("qwen2", {{"partial_rotary_factor", 0.5}})), Code::kInvalidArgument,
               "BAD_CONFIG", "rotates whole heads");
}

TEST(ConfigRope, ReadsLongropeAsEitherVersionWritesIt) {
  const json four = of("phi3", {{"original_max_position_embeddings", 16},
                                {"max_position_embeddings", 128},
                                {"rope_scaling", longrope()}});
  json inside = longrope();
  inside["rope_type"] = "longrope";
  inside["original_max_position_embeddings"] = 16;
  const json five = of("phi3", {{"original_max_position_embeddings", 16},
                                {"max_position_embeddings", 128},
                                {"rope_parameters", inside}});
  for (const json& written : {four, five}) {
    const auto config = parse_config(written);
    ASSERT_OK(config);
    EXPECT_EQ(config->rope.type, RopeType::kLongRope);
    EXPECT_EQ(config->rope.original_max_position_embeddings, 16);
    EXPECT_EQ(config->rope.short_factors[3], 3.0);
    EXPECT_EQ(config->rope.long_factors[3], 16.0);
    EXPECT_DOUBLE_EQ(config->rope.attention_factor, std::sqrt(1.0 + 3.0 / 4.0));
  }
  json named = four;
  named["rope_scaling"]["type"] = "su";
  named["rope_scaling"]["attention_factor"] = 1.25;
  EXPECT_EQ(parse_config(named)->rope.attention_factor, 1.25);
  json hidden = five;  // transformers takes 4096 then, whatever rope_parameters says
  hidden.erase("original_max_position_embeddings");
  EXPECT_FAILS(parse_config(hidden), Code::kInvalidArgument, "BAD_CONFIG",
               "original_max_position_embeddings");
}

TEST(ConfigRope, RefusesLongropeThatDoesNotFit) {
  const auto with = [](const char* key, const json& value) {
    json config = of("phi3", {{"original_max_position_embeddings", 16}});
    config["rope_scaling"] = longrope();
    config["rope_scaling"][key] = value;
    return config;
  };
  EXPECT_FAILS(parse_config(with("short_factor", {1.0, 2.0})), Code::kInvalidArgument, "BAD_CONFIG",
               "rope_scaling.short_factor\" is an array; it has 2 elements");
  EXPECT_FAILS(parse_config(with("long_factor", {1.0, 2.0, 0.0, 1.0})), Code::kInvalidArgument,
               "BAD_CONFIG", "long_factor");
  EXPECT_FAILS(parse_config(with("long_factor", nullptr)), Code::kInvalidArgument, "BAD_CONFIG",
               "rope_scaling.long_factor");
  json without = with("type", "longrope");
  without.erase("original_max_position_embeddings");
  EXPECT_FAILS(parse_config(without), Code::kInvalidArgument, "BAD_CONFIG",
               "original_max_position_embeddings");
  EXPECT_FAILS(parse_config(of("llama", {{"rope_scaling", longrope()}})), Code::kUnimplemented,
               "UNSUPPORTED_ROPE", "\"longrope\"");
}

json yarn(const json& keys = json::object()) {
  json scaling = {{"rope_type", "yarn"}, {"factor", 4.0}};
  scaling.update(keys);
  return scaling;
}

TEST(ConfigRope, ReadsYarnAsEitherVersionWritesIt) {
  const json keys = {{"original_max_position_embeddings", 16},
                     {"beta_fast", 8},
                     {"beta_slow", 2},
                     {"truncate", false},
                     {"attention_factor", 1.5}};
  json old = keys;
  old["type"] = "yarn";
  old["factor"] = 4;
  json inside = yarn(keys);
  inside["rope_theta"] = 5000.0;
  for (const json& written : {of("qwen3", {{"rope_theta", 5000.0}, {"rope_scaling", yarn(keys)}}),
                              of("qwen3", {{"rope_theta", 5000.0}, {"rope_scaling", old}}),
                              of("qwen3", {{"rope_parameters", inside}})}) {
    const auto config = parse_config(written);
    ASSERT_OK(config);
    EXPECT_EQ(config->rope.type, RopeType::kYarn);
    EXPECT_EQ(config->rope.theta, 5000.0);
    EXPECT_EQ(config->rope.factor, 4.0);
    EXPECT_EQ(config->rope.original_max_position_embeddings, 16);
    EXPECT_EQ(config->rope.beta_fast, 8.0);
    EXPECT_EQ(config->rope.beta_slow, 2.0);
    EXPECT_FALSE(config->rope.truncate);
    EXPECT_EQ(config->rope.attention_factor, 1.5);
  }
}

TEST(ConfigRope, TakesYarnsDefaults) {
  const auto config = parse_config(of("llama", {{"rope_scaling", yarn()}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->rope.original_max_position_embeddings, 32) << "max_position_embeddings";
  EXPECT_EQ(config->rope.beta_fast, 32.0);
  EXPECT_EQ(config->rope.beta_slow, 1.0);
  EXPECT_TRUE(config->rope.truncate);
  EXPECT_DOUBLE_EQ(config->rope.attention_factor, 1.0 + 0.1 * std::log(4.0));
  EXPECT_EQ(yarn_magnitude(0.5, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(yarn_magnitude(40.0, 0.707), 1.0 + 0.0707 * std::log(40.0));
}

TEST(ConfigRope, RefusesYarnThatDoesNotFit) {
  const auto with = [](const json& keys) { return of("llama", {{"rope_scaling", yarn(keys)}}); };
  const std::pair<json, const char*> cases[] = {
      {{{"factor", 0}}, "rope_scaling.factor\" is 0"},
      {{{"factor", "4"}}, "rope_scaling.factor"},
      {{{"original_max_position_embeddings", 0}}, "original_max_position_embeddings"},
      {{{"beta_fast", 1}, {"beta_slow", 2}}, "at least beta_slow, which is 2"},
      {{{"beta_slow", -1}}, "rope_scaling.beta_slow"},
      {{{"truncate", 1}}, "rope_scaling.truncate"},
      {{{"mscale", -1}}, "rope_scaling.mscale"},
      {{{"mscale_all_dim", "1"}}, "rope_scaling.mscale_all_dim"},
      {{{"attention_factor", 0}}, "rope_scaling.attention_factor"},
      {{{"rope_theta", 1.0}}, "rope_scaling.rope_theta\" is 1.0; yarn needs one greater than 1"}};
  for (const auto& [keys, message] : cases) {
    EXPECT_FAILS(parse_config(with(keys)), Code::kInvalidArgument, "BAD_CONFIG", message) << keys;
  }
  json without = of("llama", {{"rope_scaling", {{"rope_type", "yarn"}}}});
  EXPECT_FAILS(parse_config(without), Code::kInvalidArgument, "BAD_CONFIG", "rope_scaling.factor");
}

}  // namespace
}  // namespace rotor
