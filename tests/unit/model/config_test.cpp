#include "model/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::parse_config;
using testing::small_config;

json with(const std::string& key, const json& value) {
  json config = small_config();
  config[key] = value;
  return config;
}

json without(const std::string& key) {
  json config = small_config();
  config.erase(key);
  return config;
}

TEST(Config, ReadsWhatTransformers4Writes) {
  json written = small_config();
  written["head_dim"] = 6;
  written["rope_theta"] = 500000.0;
  written["rope_scaling"] = {{"rope_type", "llama3"},
                             {"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 8192}};
  const auto config = parse_config(written);
  ASSERT_OK(config);
  EXPECT_EQ(config->architecture, "LlamaForCausalLM");
  EXPECT_EQ(config->hidden_size, 8);
  EXPECT_EQ(config->intermediate_size, 12);
  EXPECT_EQ(config->num_layers, 2);
  EXPECT_EQ(config->num_heads, 4);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 6);
  EXPECT_EQ(config->vocab_size, 16);
  EXPECT_EQ(config->max_position_embeddings, 32);
  EXPECT_EQ(config->rms_norm_eps, 1e-5);
  EXPECT_EQ(config->rope.type, RopeType::kLlama3);
  EXPECT_EQ(config->rope.theta, 500000.0);
  EXPECT_EQ(config->rope.factor, 8.0);
  EXPECT_EQ(config->rope.high_freq_factor, 4.0);
  EXPECT_EQ(config->rope.original_max_position_embeddings, 8192);
  EXPECT_EQ(config->dtype, DType::kBf16);
}

TEST(Config, ReadsWhatTransformers5Writes) {
  json written = without("torch_dtype");
  written.erase("rope_theta");
  written["dtype"] = "float16";
  written["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 1e6}};
  const auto config = parse_config(written);
  ASSERT_OK(config);
  EXPECT_EQ(config->dtype, DType::kF16);
  EXPECT_EQ(config->rope.type, RopeType::kLinear);
  EXPECT_EQ(config->rope.factor, 2.0);
  EXPECT_EQ(config->rope.theta, 1e6);
}

TEST(Config, FillsInWhatIsMissingOrNull) {
  json written = without("num_key_value_heads");
  for (const char* key : {"torch_dtype", "rope_theta", "rms_norm_eps", "hidden_act",
                          "tie_word_embeddings", "architectures"}) {
    written.erase(key);
  }
  written["head_dim"] = nullptr;
  written["rope_scaling"] = nullptr;
  const auto config = parse_config(written);
  ASSERT_OK(config);
  EXPECT_EQ(config->num_kv_heads, 4);
  EXPECT_EQ(config->head_dim, 2);
  EXPECT_EQ(config->dtype, DType::kF32);
  EXPECT_EQ(config->rope.theta, 10000.0);
  EXPECT_EQ(config->rms_norm_eps, 1e-6);
  EXPECT_FALSE(config->tie_word_embeddings);
}

TEST(Config, TakesTheOldNameOfARopeType) {
  const auto config = parse_config(with("rope_scaling", {{"type", "linear"}, {"factor", 4}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->rope.type, RopeType::kLinear);
  EXPECT_EQ(config->rope.factor, 4.0);
}

TEST(Config, ReadsASlidingWindowOnlyForFamiliesThatHaveOne) {
  json mistral = with("model_type", "mistral");
  EXPECT_EQ(parse_config(mistral)->window_of(1), 4096) << "the family's default";
  mistral["sliding_window"] = nullptr;
  EXPECT_EQ(parse_config(mistral)->window_of(1), 0);
  mistral["sliding_window"] = 16;
  EXPECT_EQ(parse_config(mistral)->window_of(1), 16);
  EXPECT_EQ(parse_config(with("sliding_window", 16))->window_of(1), 0) << "Llama has none";
}

TEST(Config, ReadsBiasesOnlyForFamiliesThatHaveThem) {
  json config = with("attention_bias", true);
  EXPECT_TRUE(parse_config(config)->attention_bias);
  config["model_type"] = "mistral";
  EXPECT_FALSE(parse_config(config)->attention_bias);
}

TEST(Config, TakesTheFamilysDefaults) {
  json gemma = with("model_type", "gemma2");
  for (const char* key : {"tie_word_embeddings", "rms_norm_eps", "rope_theta"}) {
    gemma.erase(key);
  }
  EXPECT_TRUE(parse_config(gemma)->tie_word_embeddings);
  EXPECT_EQ(parse_config(gemma)->activation.kind, ActivationKind::kGeluTanh)
      << "hidden_act is not its key";
  gemma["hidden_activation"] = "silu";
  EXPECT_EQ(parse_config(gemma)->activation.kind, ActivationKind::kSilu);
  json olmo = gemma;
  olmo["model_type"] = "olmo2";
  EXPECT_FALSE(parse_config(olmo)->tie_word_embeddings);
  EXPECT_EQ(parse_config(olmo)->rms_norm_eps, 1e-5);
}

TEST(Config, ScalesEmbeddingsByARootThatTheModelsDtypeHolds) {
  json gemma = with("model_type", "gemma2");
  gemma["hidden_size"] = 3072;
  gemma["head_dim"] = 8;
  EXPECT_EQ(parse_config(gemma)->embedding_scale, 55.5F);  // the root is 55.4256
  gemma["torch_dtype"] = "float32";
  EXPECT_FLOAT_EQ(parse_config(gemma)->embedding_scale, 55.425625F);
  gemma["torch_dtype"] = "float16";
  EXPECT_EQ(parse_config(gemma)->embedding_scale, 55.4375F);
  EXPECT_EQ(parse_config(small_config())->embedding_scale, 1.0F);
}

TEST(Config, RefusesAnUnknownModelTypeBeforeItsOtherKeys) {
  const auto config = parse_config(json{{"model_type", "mamba"}, {"hidden_size", "wide"}});
  EXPECT_FAILS(config, Code::kUnimplemented, "UNSUPPORTED_MODEL_TYPE",
               "M/config.json: model_type 'mamba' is not supported; supported are: deepseek_v3, "
               "deepseek_v32, ");
}

TEST(Config, RefusesWhatIsNotOneObject) {
  EXPECT_FAILS(parse_model_config("[1]", "M/config.json"), Code::kInvalidArgument, "BAD_CONFIG",
               "M/config.json");
  EXPECT_EQ(parse_model_config("{\"a\": 1", "M/config.json").status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(parse_model_config("", "M/config.json").status().code(), Code::kInvalidArgument);
}

TEST(Config, RefusesMissingAndMistypedKeysByName) {
  for (const char* key : {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "vocab_size", "max_position_embeddings"}) {
    EXPECT_FAILS(parse_config(without(key)), Code::kInvalidArgument, "BAD_CONFIG",
                 std::string("M/config.json: key \"") + key + "\" is missing");
    EXPECT_FAILS(parse_config(with(key, json::array())), Code::kInvalidArgument, "BAD_CONFIG", key);
  }
  EXPECT_FAILS(parse_config(with("tie_word_embeddings", 1)), Code::kInvalidArgument, "BAD_CONFIG",
               "tie_word_embeddings");
  EXPECT_FAILS(parse_config(with("architectures", {1})), Code::kInvalidArgument, "BAD_CONFIG",
               "architectures");
}

TEST(Config, RefusesAbsurdSizes) {
  for (const json& value : {json(0), json(-8), json(8.5), json(1e300), json(3000000000U),
                            json(UINT64_MAX), json("8")}) {
    EXPECT_FAILS(parse_config(with("hidden_size", value)), Code::kInvalidArgument, "BAD_CONFIG",
                 "hidden_size")
        << value;
  }
  EXPECT_FAILS(parse_config(with("num_hidden_layers", 1 << 20)), Code::kInvalidArgument,
               "BAD_CONFIG", "num_hidden_layers");
  json wide = with("head_dim", 1 << 30);
  EXPECT_FAILS(parse_config(wide), Code::kInvalidArgument, "BAD_CONFIG", "num_attention_heads");
}

TEST(Config, RefusesHeadsThatDoNotFit) {
  EXPECT_FAILS(parse_config(with("num_key_value_heads", 3)), Code::kInvalidArgument, "BAD_CONFIG",
               "it must divide num_attention_heads, which is 4");
  EXPECT_FAILS(parse_config(with("head_dim", 7)), Code::kInvalidArgument, "BAD_CONFIG", "head_dim");
  json odd = with("num_attention_heads", 3);
  odd.erase("num_key_value_heads");
  EXPECT_FAILS(parse_config(odd), Code::kInvalidArgument, "BAD_CONFIG", "head_dim");
}

TEST(Config, RefusesWhatIsNotSupportedByName) {
  EXPECT_FAILS(parse_config(with("rope_scaling", {{"rope_type", "spiral"}, {"factor", 4}})),
               Code::kUnimplemented, "UNSUPPORTED_ROPE",
               "\"rope_scaling.rope_type\" is \"spiral\"");
  EXPECT_FAILS(parse_config(with("hidden_act", "gelu")), Code::kUnimplemented,
               "UNSUPPORTED_ACTIVATION", "\"gelu\"");
  EXPECT_FAILS(parse_config(with("torch_dtype", "float8_e4m3fn")), Code::kInvalidArgument,
               "BAD_CONFIG", "float8_e4m3fn");
  EXPECT_FAILS(parse_config(with("partial_rotary_factor", 0.5)), Code::kInvalidArgument,
               "BAD_CONFIG", "partial_rotary_factor");
}

TEST(Config, RefusesBadRopeNumbers) {
  EXPECT_FAILS(parse_config(with("rope_theta", 0)), Code::kInvalidArgument, "BAD_CONFIG",
               "rope_theta");
  EXPECT_FAILS(parse_config(with("rope_scaling", {{"type", "linear"}})), Code::kInvalidArgument,
               "BAD_CONFIG", "rope_scaling.factor");
  EXPECT_FAILS(parse_config(with("rope_scaling", {{"factor", 2}})), Code::kInvalidArgument,
               "BAD_CONFIG", "rope_scaling.type");
  EXPECT_FAILS(parse_config(with("rope_parameters", {{"rope_type", "llama3"},
                                                     {"factor", 8},
                                                     {"low_freq_factor", 4},
                                                     {"high_freq_factor", 3},
                                                     {"original_max_position_embeddings", 8192}})),
               Code::kInvalidArgument, "BAD_CONFIG", "high_freq_factor");
}

TEST(Config, RefusesAQuantizedCheckpointUnlessAllowed) {
  const json quantized = with("quantization_config", {{"quant_method", "gptq"}});
  EXPECT_FAILS(parse_config(quantized), Code::kInvalidArgument, "ALREADY_QUANTIZED",
               "quantization_config");
  EXPECT_OK(parse_model_config(quantized.dump(), "config.json", true));
}

}  // namespace
}  // namespace rotor
