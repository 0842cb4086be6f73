#include "model/wrappers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/model_files.h"
#include "quant/base/json.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using nlohmann::json;
using testing::family_config;
using testing::parse_config;
using testing::TemporaryDirectory;

json wrapped(const std::string& type, const json& text) {
  return {{"model_type", type}, {"text_config", text}, {"vision_config", {{"depth", 1}}}};
}

TEST(Wrappers, AreReadOfTheirTextPart) {
  json config = wrapped("llava", family_config("llama", {{"hidden_size", 16}}));
  config["torch_dtype"] = "float16";
  const auto parsed = parse_config(config);
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->model_type, "llama");
  EXPECT_EQ(parsed->wrapper, "llava");
  EXPECT_EQ(parsed->hidden_size, 16);
  EXPECT_EQ(parsed->dtype, DType::kF16) << "the whole model's counts first";
  config["tie_word_embeddings"] = true;
  EXPECT_TRUE(parse_config(config)->tie_word_embeddings);
}

TEST(Wrappers, TakeGemma3sSizesWhereItsConfigHasNone) {
  // What google/gemma-3-4b-it has.
  const auto parsed =
      parse_config(wrapped("gemma3", {{"model_type", "gemma3_text"},
                                      {"hidden_size", 2560},
                                      {"intermediate_size", 10240},
                                      {"num_hidden_layers", 34},
                                      {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                                      {"sliding_window", 1024}}));
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->num_heads, 8);
  EXPECT_EQ(parsed->num_kv_heads, 4);
  EXPECT_EQ(parsed->head_dim, 256);
  EXPECT_EQ(parsed->vocab_size, 262208);
  EXPECT_EQ(parsed->max_position_embeddings, 131072);
  EXPECT_TRUE(parsed->tie_word_embeddings);
  EXPECT_EQ(parsed->rope.factor, 8.0);
  EXPECT_EQ(parsed->local_rope->factor, 1.0);
}

TEST(Wrappers, ReadQwen25VlWithItsKeysBesideTheTowers) {
  json config = family_config(
      "qwen2_5_vl", {{"vision_config", {{"depth", 1}}},
                     {"rope_scaling", {{"type", "mrope"}, {"mrope_section", {1, 1, 1}}}}});
  const auto parsed = parse_config(config);
  ASSERT_OK(parsed);
  EXPECT_EQ(parsed->model_type, "qwen2_5_vl_text");
  EXPECT_EQ(parsed->wrapper, "qwen2_5_vl");
  EXPECT_EQ(parsed->rope.type, RopeType::kDefault);
}

TEST(Wrappers, AreRefusedWithBothNames) {
  EXPECT_FAILS(parse_config(wrapped("new_vl", family_config("llama"))), Code::kUnimplemented,
               "UNSUPPORTED_MODEL_TYPE",
               "model_type 'new_vl' around a text part (text_config) of model_type 'llama'");
  EXPECT_FAILS(parse_config(wrapped("llava", family_config("phi3"))), Code::kUnimplemented,
               "UNSUPPORTED_MODEL_TYPE",
               "'llava' around a text part (text_config) of model_type 'phi3' is not supported; "
               "supported are: gemma3");
}

TEST(Wrappers, NameTheKeyInsideTheTextPart) {
  EXPECT_FAILS(parse_config(wrapped("llava", family_config("llama", {{"hidden_size", -1}}))),
               Code::kInvalidArgument, "BAD_CONFIG", "key \"text_config.hidden_size\" is -1");
}

TEST(Wrappers, SetAKeyWhereverTheFileHasIt) {
  const json config = wrapped("llava", {{"tie_word_embeddings", true}});
  const auto text = with_boolean(config.dump(), "tie_word_embeddings", false);
  ASSERT_OK(text);
  const json changed = json::parse(*text);
  EXPECT_EQ(changed["tie_word_embeddings"], false);
  EXPECT_EQ(changed["text_config"]["tie_word_embeddings"], false);
  EXPECT_FALSE(
      json::parse(*with_boolean("{\"text_config\": {}}", "a", true))["text_config"].contains("a"));
}

TEST(Wrappers, AreFoundUnderEachPublishedPrefix) {
  const json config = wrapped("llava", testing::small_config());
  for (const auto& [decoder, head] : {std::pair<std::string, std::string>{"model.", "lm_head"},
                                      {"model.language_model.", "lm_head"},
                                      {"language_model.model.", "language_model.lm_head"}}) {
    std::vector<TensorSpec> tensors = testing::small_tensors();
    for (TensorSpec& tensor : tensors) {
      tensor.name =
          tensor.name == "lm_head.weight" ? head + ".weight" : decoder + tensor.name.substr(6);
    }
    tensors.push_back({"vision_tower.a.weight", DType::kF32, {3, 5}});
    const TemporaryDirectory directory;
    testing::write_model(directory, config, tensors);
    const auto model = open_model(posix_file_system(), directory.path());
    ASSERT_OK(model);
    EXPECT_EQ(model->extra_tensors, std::vector<std::string>{"vision_tower.a.weight"});
    EXPECT_EQ(model->architecture.layers[1].prefix, decoder + "layers.1.");
    EXPECT_EQ(model->architecture.head, head);
  }
}

TEST(Wrappers, TakeTheFirstDtypeThatIsNamed) {
  json text = family_config("gemma3_text", {{"hidden_size", 3072}, {"head_dim", 8}});
  text.erase("torch_dtype");
  text["dtype"] = "bfloat16";
  for (const json& keys : {json{{"dtype", "auto"}}, json{{"dtype", nullptr}},
                           json{{"dtype", "auto"}, {"torch_dtype", "auto"}}, json::object()}) {
    json config = wrapped("gemma3", text);
    config.update(keys);
    const auto parsed = parse_config(config);
    ASSERT_OK(parsed);
    EXPECT_EQ(parsed->named_dtype, DType::kBf16) << keys;
    EXPECT_EQ(parsed->dtype, DType::kBf16) << keys;
    EXPECT_EQ(parsed->embedding_scale, 55.5F) << "the root is 55.4256";
  }
  json config = wrapped("gemma3", text);
  config["dtype"] = "auto";
  config["torch_dtype"] = "float16";
  EXPECT_EQ(parse_config(config)->dtype, DType::kF16) << "the older key, before the text part's";
  config["torch_dtype"] = "auto";
  config["text_config"]["dtype"] = "auto";
  EXPECT_FALSE(parse_config(config)->named_dtype.has_value());
  EXPECT_EQ(parse_config(config)->dtype, DType::kF32);
}

TEST(Wrappers, LeaveOpenWhatTheirOwnKeysDoNotSayOfTheHead) {
  json config = wrapped("llava", family_config("llama", {{"tie_word_embeddings", true}}));
  EXPECT_FALSE(parse_config(config)->names_tied);
  config["tie_word_embeddings"] = false;
  EXPECT_TRUE(parse_config(config)->names_tied);
  EXPECT_TRUE(parse_config(testing::small_config())->names_tied);
}

TEST(Wrappers, NameTheDtypeThatAConfigLeavesOpen) {
  const auto named = with_named_dtype(
      R"({"torch_dtype": "auto", "text_config": {"dtype": "auto"}, "vision_config": {}})",
      DType::kF16);
  ASSERT_OK(named);
  EXPECT_EQ(nlohmann::json::parse(*named),
            nlohmann::json::parse(R"({"torch_dtype": "float16", "text_config": {"dtype": "float16"},
                                      "vision_config": {}})"));
  EXPECT_EQ(*with_named_dtype("{}", DType::kBf16), "{}");
}

}  // namespace
}  // namespace rotor
