#include "model/config_fields.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "quant/io/file.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::family_config;
using testing::parse_config;

/// What transformers makes of the fields of every family (tests/data/configs/make_fields.py).
json measured_fields() {
  const auto text = read_whole_file(posix_file_system(),
                                    ROTOR_SOURCE_DIR "/tests/data/configs/fields.json", 1 << 26);
  EXPECT_OK(text);
  return json::parse(*text);
}

bool same(const RopeConfig& a, const RopeConfig& b) {
  const auto all = [](const RopeConfig& rope) {
    return std::tie(rope.type, rope.theta, rope.rotary_share, rope.factor, rope.low_freq_factor,
                    rope.high_freq_factor, rope.original_max_position_embeddings, rope.beta_fast,
                    rope.beta_slow, rope.truncate, rope.short_factors, rope.long_factors,
                    rope.attention_factor, rope.score_factor);
  };
  return all(a) == all(b);
}

bool same(const LatentConfig& a, const LatentConfig& b) {
  const auto all = [](const LatentConfig& latent) {
    return std::tie(latent.query_rank, latent.key_value_rank, latent.plain_features,
                    latent.rotary_features, latent.value_features, latent.interleaved);
  };
  return all(a) == all(b);
}

template <typename T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

bool same(const ModelConfig& a, const ModelConfig& b) {
  const auto all = [](const ModelConfig& config) {
    return std::tie(config.hidden_size, config.intermediate_size, config.num_layers,
                    config.num_heads, config.num_kv_heads, config.head_dim, config.vocab_size,
                    config.windows, config.rms_norm_eps, config.activation, config.query_scalar,
                    config.attention_cap, config.logit_cap, config.embedding_scale,
                    config.tie_word_embeddings, config.attention_bias, config.mlp_bias,
                    config.routing, config.expert_features, config.mixture_layers,
                    config.shared_features, config.dtype);
  };
  return all(a) == all(b) && same(a.rope, b.rope) && same(a.local_rope, b.local_rope) &&
         same(a.latent, b.latent);
}

TEST(ConfigFields, NoFieldThatChangesTheMathematicsPassesUnread) {
  const json fields = measured_fields();
  int checked = 0;
  for (const auto& [family, entry] : fields["families"].items()) {
    for (const json& change : entry["changes"]) {
      json plain = entry["config"];
      plain.update(change["base"]);
      const auto before = parse_config(plain);
      if (!before.ok()) {
        continue;  // refused as it stands
      }
      json config = plain;
      config[change["key"].get<std::string>()] = change["value"];
      const auto after = parse_config(config);
      EXPECT_FALSE(after.ok() && same(*after, *before))
          << family << ": " << change["key"] << " = " << change["value"] << " beside "
          << change["base"];
      ++checked;
    }
  }
  EXPECT_GT(checked, 300) << "the list was made of every family";
}

TEST(ConfigFields, RefusesWhatEveryFamilyWouldRead) {
  for (const char* type : {"llama", "gemma2", "qwen3"}) {
    EXPECT_FAILS(parse_config(family_config(type, {{"is_causal", false}})), Code::kUnimplemented,
                 "UNSUPPORTED_ATTENTION", "\"is_causal\" is false; only causal attention");
    EXPECT_OK(parse_config(family_config(type, {{"is_causal", true}})));
    EXPECT_FAILS(parse_config(family_config(type, {{"use_bidirectional_attention", "all"}})),
                 Code::kUnimplemented, "UNSUPPORTED_ATTENTION", "use_bidirectional_attention");
    EXPECT_FAILS(
        parse_config(family_config(type, {{"per_layer_config", {{"0", {{"head_dim", 4}}}}}})),
        Code::kUnimplemented, "UNSUPPORTED_CONFIG", "per_layer_config");
    EXPECT_OK(parse_config(family_config(type, {{"per_layer_config", json::object()}})));
  }
}

TEST(ConfigFields, TakesWhatPythonWritesAndJsonDoesNotHave) {
  std::string text = family_config("llama").dump();
  text.insert(1, "\"time_step_limit\": [0.0, Infinity, -Infinity, NaN], ");
  EXPECT_OK(parse_model_config(text, "M/config.json"));
  std::string bad = family_config("llama").dump();
  bad.replace(bad.find("\"hidden_size\":8"), 15, "\"hidden_size\":Infinity");
  EXPECT_FAILS(parse_model_config(bad, "M/config.json"), Code::kInvalidArgument, "BAD_CONFIG",
               "hidden_size");
}

TEST(ConfigFields, NamesTheRemedyForADtypeThatNamesNone) {
  EXPECT_FAILS(parse_config(family_config("llama", {{"torch_dtype", "auto"}})),
               Code::kInvalidArgument, "BAD_CONFIG", "write the dtype that the weights have");
}

}  // namespace
}  // namespace rotor
