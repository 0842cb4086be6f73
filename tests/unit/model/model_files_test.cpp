#include "model/model_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/support/status_matchers.h"
#include "tests/unit/model/small_model.h"

namespace rotor {
namespace {

using testing::small_config;
using testing::small_tensors;
using testing::TemporaryDirectory;
using testing::write_model;

Result<ModelFiles> open(const TemporaryDirectory& directory) {
  return open_model(posix_file_system(), directory.path());
}

std::vector<TensorSpec> without(const std::string& name) {
  std::vector<TensorSpec> tensors = small_tensors();
  std::erase_if(tensors, [&](const TensorSpec& tensor) { return tensor.name == name; });
  return tensors;
}

TensorSpec& find(std::vector<TensorSpec>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const TensorSpec& tensor) { return tensor.name == name; });
}

TEST(ModelFiles, OpensTheDemoModel) {
  const auto files = open_model(posix_file_system(), std::string(ROTOR_SOURCE_DIR) + "/demo/model");
  ASSERT_OK(files);
  EXPECT_EQ(files->architecture.layers.size(), 4U);
  EXPECT_EQ(files->other_files.copied,
            (std::vector<std::string>{"generation_config.json", "tokenizer.json",
                                      "tokenizer_config.json"}));
  EXPECT_TRUE(files->extra_tensors.empty());
}

TEST(ModelFiles, ListsTheFilesToCopy) {
  const TemporaryDirectory directory;
  write_model(directory, small_config(), small_tensors());
  directory.put("tokenizer.json", "{}");
  directory.put("chat_template.jinja", "x");
  directory.put(".gitattributes", "x");
  directory.put("consolidated.safetensors.index.json", "x");
  ASSERT_OK(posix_file_system().create_directory(directory / "original"));
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->other_files.copied,
            (std::vector<std::string>{"chat_template.jinja", "tokenizer.json"}));
}

TEST(ModelFiles, RefusesADirectoryThatIsNoModel) {
  const TemporaryDirectory directory;
  EXPECT_EQ(open(directory).status().code(), Code::kNotFound);
  EXPECT_EQ(open_model(posix_file_system(), directory / "none").status().code(), Code::kNotFound);
  const std::string file = directory.put("file", "x");
  EXPECT_FAILS(open_model(posix_file_system(), file), Code::kInvalidArgument, "NOT_A_DIRECTORY",
               file);
}

TEST(ModelFiles, NamesTheFileOfAnUnsupportedModel) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  config["model_type"] = "mamba";
  write_model(directory, config, small_tensors());
  EXPECT_FAILS(open(directory), Code::kUnimplemented, "UNSUPPORTED_MODEL_TYPE",
               directory / "config.json");
}

// faults.29
TEST(ModelFiles, Faults29_MissingTensorsAreNamed) {
  const TemporaryDirectory directory;
  write_model(directory, small_config(), without("model.layers.1.mlp.up_proj.weight"));
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS",
               "lacks 1 tensors that a \"llama\" model needs: model.layers.1.mlp.up_proj.weight");
}

// faults.29
TEST(ModelFiles, Faults29_ManyMissingTensorsAreCounted) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = small_tensors();
  const size_t all = tensors.size();
  tensors.resize(3);
  write_model(directory, small_config(), tensors);
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS",
               "and " + std::to_string(all - 3 - 8) + " more");
}

// faults.29
TEST(ModelFiles, Faults29_NamesThatTrainingWrappedAreTold) {
  for (const char* prefix : {"module.", "_orig_mod.", "base_model.model."}) {
    const TemporaryDirectory directory;
    std::vector<TensorSpec> tensors = small_tensors();
    for (TensorSpec& tensor : tensors) {
      tensor.name = prefix + tensor.name;
    }
    write_model(directory, small_config(), tensors);
    EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS",
                 std::string("it holds ") + prefix + "model.");
  }
}

TEST(ModelFiles, Faults29_AnAdapterThatWasNotMergedIsRefused) {
  for (const char* name : {"model.layers.0.self_attn.q_proj.lora_A.default.weight",
                           "model.layers.1.mlp.up_proj.base_layer.weight"}) {
    const TemporaryDirectory directory;
    std::vector<TensorSpec> tensors = small_tensors();
    tensors.push_back({name, DType::kBf16, {4, 8}});
    write_model(directory, small_config(), tensors);
    EXPECT_FAILS(open(directory), Code::kInvalidArgument, "UNMERGED_ADAPTER", name);
    EXPECT_FAILS(open(directory), Code::kInvalidArgument, "UNMERGED_ADAPTER", "merge_and_unload");
  }
}

TEST(ModelFiles, Faults29_MissingBiasIsNamed) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  config["attention_bias"] = true;
  write_model(directory, config, small_tensors());
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS",
               "model.layers.0.self_attn.q_proj.bias");
}

// faults.29
TEST(ModelFiles, Faults29_TiedEmbeddingsNeedNoHead) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  write_model(directory, config, without("lm_head.weight"));
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS", "tie_word_embeddings");
  config["tie_word_embeddings"] = true;
  directory.put("config.json", config.dump());
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->architecture.head_weight, "model.embed_tokens.weight");
  EXPECT_TRUE(files->extra_tensors.empty());
}

// faults.29
TEST(ModelFiles, Faults29_ExtraTensorsAreListed) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = small_tensors();
  tensors.push_back({"vision.weight", DType::kU8, {3}});
  tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", DType::kF32, {1}});
  write_model(directory, small_config(), tensors);
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(
      files->extra_tensors,
      (std::vector<std::string>{"model.layers.0.self_attn.rotary_emb.inv_freq", "vision.weight"}));
}

/// The small model as its bare backbone is saved: without a head and without the prefix.
std::vector<TensorSpec> backbone() {
  std::vector<TensorSpec> tensors = without("lm_head.weight");
  for (TensorSpec& tensor : tensors) {
    tensor.name.erase(0, std::string("model.").size());
  }
  return tensors;
}

TEST(ModelFiles, ReadsABackboneAlone) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  config["architectures"] = {"LlamaModel"};
  write_model(directory, config, backbone());
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->architecture.embedding, "embed_tokens.weight");
  EXPECT_EQ(files->architecture.layers[1].stages[0].linears[0].name, "layers.1.self_attn.q_proj");
  EXPECT_EQ(files->architecture.head_weight, "");
  EXPECT_TRUE(files->extra_tensors.empty());
}

TEST(ModelFiles, AClassifierHasNoOutputHeadAndALanguageModelDoes) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  config["architectures"] = {"LlamaForSequenceClassification"};
  std::vector<TensorSpec> tensors = without("lm_head.weight");
  tensors.push_back({"score.weight", DType::kBf16, {1, 8}});
  write_model(directory, config, tensors);
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->architecture.head_weight, "");
  EXPECT_EQ(files->extra_tensors, std::vector<std::string>{"score.weight"});
  config["architectures"] = {"LlamaForCausalLM"};
  directory.put("config.json", config.dump());
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "MISSING_TENSORS",
               "let architectures name its class");
}

TEST(ModelFiles, TakesTheDtypeOfTheWeightsWhereTheConfigNamesNone) {
  const TemporaryDirectory directory;
  nlohmann::json config = small_config();
  for (const bool automatic : {true, false}) {
    config["torch_dtype"] = "auto";
    if (!automatic) {
      config.erase("torch_dtype");
    }
    write_model(directory, config, small_tensors());
    const auto files = open(directory);
    ASSERT_OK(files);
    EXPECT_EQ(files->architecture.config.dtype, DType::kBf16);
  }
}

// faults.29
TEST(ModelFiles, Faults29_MixedDtypesAreTakenAsTheyAre) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = small_tensors();
  find(tensors, "model.norm.weight").dtype = DType::kF32;
  find(tensors, "model.layers.0.mlp.down_proj.weight").dtype = DType::kF16;
  write_model(directory, small_config(), tensors);
  const auto files = open(directory);
  ASSERT_OK(files);
  EXPECT_EQ(files->weights->find("model.norm.weight")->dtype, DType::kF32);
  EXPECT_EQ(files->weights->find("model.layers.0.mlp.down_proj.weight")->dtype, DType::kF16);
  EXPECT_EQ(files->weights->find("model.layers.0.mlp.up_proj.weight")->dtype, DType::kBf16);
}

// faults.29
TEST(ModelFiles, Faults29_TensorsThatAreNoFloatsAreRefused) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = small_tensors();
  find(tensors, "model.norm.weight").dtype = DType::kF8E4M3;
  write_model(directory, small_config(), tensors);
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "BAD_TENSOR_DTYPE",
               "model.norm.weight (F8_E4M3)");
}

// faults.29
TEST(ModelFiles, Faults29_WrongShapesAreNamed) {
  const TemporaryDirectory directory;
  std::vector<TensorSpec> tensors = small_tensors();
  find(tensors, "model.layers.0.self_attn.k_proj.weight").shape = {8, 8};
  write_model(directory, small_config(), tensors);
  EXPECT_FAILS(open(directory), Code::kInvalidArgument, "BAD_TENSOR_SHAPE",
               "model.layers.0.self_attn.k_proj.weight is BF16 [8, 8], not BF16 [4, 8]");
}

}  // namespace
}  // namespace rotor
