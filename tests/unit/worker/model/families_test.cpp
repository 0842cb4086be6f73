// Every family's forward pass on a tiny model of its own, held against the transformers library
// (tests/data/families/make_golden.py), from config.json as transformers 5 and 4 write it.
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/worker/golden_model.h"

namespace rotor::worker {
namespace {

using rotor::testing::file_bytes;
using rotor::testing::TemporaryDirectory;
using testing::expect_golden;
using testing::Model;
using testing::read_golden;

constexpr double kTolerance = 2e-5;

struct Case {
  std::string family;
  int length = 40;
};

class FamilyTest : public ::testing::TestWithParam<Case> {
 protected:
  static std::string folder() {
    return ROTOR_SOURCE_DIR "/tests/data/families/" + GetParam().family;
  }
  static testing::Golden golden() {
    return read_golden(folder() + "/golden." + std::to_string(GetParam().length) + ".safetensors");
  }
};

TEST_P(FamilyTest, MatchesTransformers) {
  const auto model = Model::open(folder());
  ASSERT_NE(model, nullptr);
  for (const std::string& tensor : model->files.extra_tensors) {
    // Of a layer that predicts further tokens, or of a wrapper's tower.
    const bool behind = model->config().latent.has_value();
    const bool indexer = model->config().latent && model->config().latent->indexer &&
                         tensor.find(".self_attn.indexer.") != std::string::npos;
    const bool outside = !model->config().wrapper.empty();
    EXPECT_TRUE(indexer || (behind && tensor.starts_with("model.layers.3.")) ||
                (outside && tensor.find("language_model") == std::string::npos))
        << tensor;
  }
  expect_golden(*model, golden(), kTolerance);
}

TEST_P(FamilyTest, ComputesTwoSequencesAsEachByItself) {
  const auto model = Model::open(folder());
  ASSERT_NE(model, nullptr);
  const testing::Golden one = golden();
  std::vector<int32_t> ids = one.input_ids;
  ids.insert(ids.end(), one.input_ids.begin(), one.input_ids.end());
  const int64_t length = GetParam().length;
  Decoder decoder = model->decoder(length);
  const Tensor x = model->rows(2 * length, model->config().hidden_size);
  const Tensor normed = model->rows(2 * length, model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, ids, x));
  for (size_t i = 0; i < model->layers.size(); ++i) {
    ASSERT_OK(decoder.forward_layer(model->files.architecture.layers[i], model->layers[i],
                                    {2, length}, x));
  }
  ASSERT_OK(decoder.final_norm(model->ends, x, normed));
  for (const int64_t first : {int64_t{0}, length}) {
    EXPECT_LT(testing::relative_distance(
                  testing::values_of(*model->backend, normed.row_range(first, length)),
                  one.hidden.back()),
              kTolerance)
        << "from row " << first;
  }
}

/// Wrappers have no config of transformers 4 here.
class TextFamilyTest : public FamilyTest {};

TEST_P(TextFamilyTest, IsTheSameFromAConfigOfTransformers4) {
  const TemporaryDirectory directory;
  directory.put("config.json", file_bytes(folder() + "/config.4.json"));
  directory.put("model.safetensors", file_bytes(folder() + "/model.safetensors"));
  const auto model = Model::open(directory.path());
  ASSERT_NE(model, nullptr);
  expect_golden(*model, golden(), kTolerance);
}

std::string name_of(const ::testing::TestParamInfo<Case>& tested) {
  return tested.param.family + "_" + std::to_string(tested.param.length);
}

const auto kTextFamilies =
    ::testing::Values(Case{"deepseek_v3"}, Case{"deepseek_v3_fp8"}, Case{"deepseek_v32"},
                      Case{"gemma2"}, Case{"gemma3_text"}, Case{"glm4_moe"}, Case{"glm4_moe_lite"},
                      Case{"glm_moe_dsa"}, Case{"gpt_oss"}, Case{"gpt_oss_mxfp4"}, Case{"granite"},
                      Case{"llama4_text"}, Case{"minimax_m2"}, Case{"ministral"}, Case{"mistral"},
                      Case{"mixtral"}, Case{"olmo2"}, Case{"olmo3"}, Case{"phi3", 24}, Case{"phi3"},
                      Case{"qwen2"}, Case{"qwen3"}, Case{"qwen3_5_moe_text"}, Case{"qwen3_5_text"},
                      Case{"qwen3_moe"}, Case{"qwen3_next", 80}, Case{"seed_oss"}, Case{"smollm3"});
INSTANTIATE_TEST_SUITE_P(Texts, FamilyTest, kTextFamilies, name_of);
INSTANTIATE_TEST_SUITE_P(Texts, TextFamilyTest, kTextFamilies, name_of);
INSTANTIATE_TEST_SUITE_P(Wrappers, FamilyTest,
                         ::testing::Values(Case{"gemma3"}, Case{"llama4"}, Case{"llava"},
                                           Case{"mistral3"}, Case{"qwen2_5_vl"}, Case{"qwen3_5"},
                                           Case{"qwen3_5_moe"}, Case{"qwen3_vl"},
                                           Case{"qwen3_vl_moe"}),
                         name_of);

}  // namespace
}  // namespace rotor::worker
