#include "model/config_fields.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
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

bool same(const IndexerConfig& a, const IndexerConfig& b) {
  const auto all = [](const IndexerConfig& indexer) {
    return std::tie(indexer.chosen, indexer.heads, indexer.head_dim, indexer.layers);
  };
  return all(a) == all(b);
}

template <typename T>
bool same(const std::optional<T>& a, const std::optional<T>& b);

bool same(const LatentConfig& a, const LatentConfig& b) {
  const auto all = [](const LatentConfig& latent) {
    return std::tie(latent.query_rank, latent.key_value_rank, latent.plain_features,
                    latent.rotary_features, latent.value_features, latent.interleaved);
  };
  return all(a) == all(b) && same(a.indexer, b.indexer);
}

bool same(const DeltaConfig& a, const DeltaConfig& b) {
  const auto all = [](const DeltaConfig& delta) {
    return std::tie(delta.key_heads, delta.value_heads, delta.key_dim, delta.value_dim, delta.taps,
                    delta.layers);
  };
  return all(a) == all(b);
}

template <typename T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

/// By layer, whichever way there is none.
std::vector<int64_t> windows_of(const ModelConfig& config) {
  std::vector<int64_t> windows;
  for (int layer = 0; layer < static_cast<int>(config.num_layers); ++layer) {
    windows.push_back(config.window_of(layer));
  }
  return windows;
}

/// The width of dense layers; 0 where there are none.
int64_t dense_features(const ModelConfig& config) {
  bool dense = false;
  for (int layer = 0; layer < static_cast<int>(config.num_layers); ++layer) {
    dense = dense || !config.is_mixture(layer);
  }
  return dense ? config.intermediate_size : 0;
}

bool same(const ModelConfig& a, const ModelConfig& b) {
  const auto all = [](const ModelConfig& config) {
    return std::make_tuple(
        config.hidden_size, dense_features(config), config.num_layers, config.num_heads,
        config.num_kv_heads, config.head_dim, config.vocab_size, windows_of(config), config.rotated,
        config.query_growth, config.rms_norm_eps, config.activation, config.query_scalar,
        config.score_scale, config.residual_scale, config.logit_divisor, config.attention_cap,
        config.logit_cap, config.embedding_scale, config.tie_word_embeddings, config.attention_bias,
        config.attention_output_bias, config.query_key_norm, config.mlp_bias, config.routing,
        config.expert_features, config.mixture_layers, config.shared_features, config.dtype);
  };
  return all(a) == all(b) && same(a.rope, b.rope) && same(a.local_rope, b.local_rope) &&
         same(a.latent, b.latent) && same(a.delta, b.delta);
}

/// The config of a variant as its file has it, and as the library understands it.
struct Variant {
  json plain;  // before the field was changed
  json written;
  json understood;
};

Variant variant_of(const json& config, const json& found) {
  Variant variant;
  variant.plain = config;
  variant.plain.update(found.value("base", json::object()));
  variant.written = variant.plain;
  const std::string key = found["key"];
  if (found.contains("value")) {
    variant.written[key] = found["value"];
  } else {
    variant.written.erase(key);
  }
  if (!found.contains("set")) {
    variant.understood = variant.written;
    return variant;
  }
  // The plain config was written by the library, and so says what it understands.
  variant.understood = variant.plain;
  variant.understood.update(found["set"]);
  for (const json& gone : found.value("drop", json::array())) {
    variant.understood.erase(gone.get<std::string>());
  }
  return variant;
}

/// How many values of a field are refused, over all families.
struct Refusals {
  int same = 0;   // transformers computes the same with them
  int other = 0;  // it computes something else, or takes them for an error
  bool operator==(const Refusals&) const = default;
};

void PrintTo(const Refusals& refusals, std::ostream* out) {
  *out << refusals.same << " same, " << refusals.other << " other";
}

/// By field and reason: a reader that refuses more, or less, is looked at.
std::map<std::string, Refusals> expected_refusals() {
  return {
      {"head_dim BAD_CONFIG", {0, 7}},
      {"hidden_act UNSUPPORTED_ACTIVATION", {1, 69}},
      {"hidden_activation UNSUPPORTED_ACTIVATION", {0, 6}},
      {"hidden_size BAD_CONFIG", {0, 25}},
      {"intermediate_size BAD_CONFIG", {0, 25}},
      {"is_causal UNSUPPORTED_ATTENTION", {8, 27}},
      {"kv_lora_rank BAD_CONFIG", {0, 4}},
      {"layer_types UNSUPPORTED_ATTENTION", {0, 6}},
      {"linear_num_key_heads BAD_CONFIG", {0, 4}},
      {"linear_num_value_heads BAD_CONFIG", {0, 1}},
      {"max_position_embeddings BAD_CONFIG", {24, 1}},
      {"moe_intermediate_size BAD_CONFIG", {0, 8}},
      {"n_routed_experts BAD_CONFIG", {0, 7}},
      {"num_attention_heads BAD_CONFIG", {0, 32}},
      {"num_experts BAD_CONFIG", {1, 2}},
      {"num_experts_per_tok BAD_CONFIG", {2, 11}},
      {"num_experts_per_tok UNSUPPORTED_ROUTING", {0, 1}},
      {"num_hidden_layers BAD_CONFIG", {0, 13}},
      {"num_key_value_heads BAD_CONFIG", {0, 10}},
      {"num_local_experts BAD_CONFIG", {0, 10}},
      {"original_max_position_embeddings BAD_CONFIG", {0, 9}},
      {"partial_rotary_factor BAD_CONFIG", {56, 0}},
      {"per_layer_config UNSUPPORTED_CONFIG", {4, 0}},
      {"q_lora_rank BAD_CONFIG", {0, 4}},
      {"qk_nope_head_dim BAD_CONFIG", {0, 4}},
      {"qk_rope_head_dim BAD_CONFIG", {0, 4}},
      {"rope_interleave BAD_CONFIG", {2, 0}},
      {"rope_parameters BAD_CONFIG", {0, 25}},
      {"rope_scaling BAD_CONFIG", {0, 20}},
      {"rope_scaling UNSUPPORTED_ROPE", {0, 5}},
      {"rope_theta BAD_CONFIG", {26, 0}},
      {"shared_expert_intermediate_size BAD_CONFIG", {0, 2}},
      {"topk_group BAD_CONFIG", {0, 2}},
      {"use_bidirectional_attention UNSUPPORTED_ATTENTION", {34, 1}},
      {"use_sliding_window BAD_CONFIG", {2, 0}},
      {"v_head_dim BAD_CONFIG", {0, 4}},
      {"vocab_size BAD_CONFIG", {0, 25}},
  };
}

TEST(ConfigFields, NoFieldThatChangesTheMathematicsPassesUnread) {
  const json fields = measured_fields();
  int checked = 0;
  std::map<std::string, Refusals> refused;
  for (const auto& [family, entry] : fields["families"].items()) {
    for (const json& found : entry["variants"]) {
      const Variant variant = variant_of(entry["config"], found);
      const auto before = parse_config(variant.plain);
      const auto after = parse_config(variant.written);
      SCOPED_TRACE(family + ": " + found.dump());
      ASSERT_OK(before);
      if (!after.ok()) {
        const std::string key = found["key"];
        ++(refused[key + " " + after.status().reason()].*
           (found.value("same", false) ? &Refusals::same : &Refusals::other));
        continue;
      }
      // Whether a head is tied shows in no logits of weights that were made tied.
      if (found["key"] == "tie_word_embeddings") {
        continue;
      }
      // Nor in any, how many tokens an indexer chooses of fewer: it bounds windows.
      if (found["key"] == "index_topk" && found.value("same", false)) {
        continue;
      }
      EXPECT_EQ(same(*after, *before), found.value("same", false));
      ++checked;
    }
  }
  EXPECT_EQ(refused, expected_refusals());
  EXPECT_GT(checked, 300) << "the list was made of every family";
}

TEST(ConfigFields, DefaultsAndContradictionsAreReadAsTransformersReadsThem) {
  const json fields = measured_fields();
  int checked = 0;
  for (const auto& [family, entry] : fields["families"].items()) {
    for (const json& found : entry["variants"]) {
      const Variant variant = variant_of(entry["config"], found);
      const auto written = parse_config(variant.written);
      // Which are refused is held above; what a wrapper leaves open its checkpoint says.
      if (found.contains("base") || !written.ok() || !written->names_tied) {
        continue;
      }
      SCOPED_TRACE(family + ": " + found.dump());
      const auto understood = parse_config(variant.understood);
      EXPECT_OK(understood);
      EXPECT_TRUE(understood.ok() && same(*written, *understood));
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

}  // namespace
}  // namespace rotor
