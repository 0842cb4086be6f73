// Every family's forward pass on CUDA, on the tiny models of tests/data/families.
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/golden_model.h"
#include "worker/backend/cuda/cuda_backend.h"

namespace rotor::worker::cuda {
namespace {

using testing::expect_golden;
using testing::Model;
using testing::read_golden;

// With its activations in BF16 the transformers library is up to 0.023 off its own F32 logits here.
constexpr double kTolerance = 6e-2;

/// A folder and the golden file in it.
using Case = std::pair<std::string, std::string>;

class CudaFamilyTest : public ::testing::TestWithParam<Case> {};

TEST_P(CudaFamilyTest, MatchesTransformersAsFarAsBf16Can) {
  if (visible_devices() == 0) {
    GTEST_SKIP() << "no CUDA device on this machine: not run";
  }
  Result<std::unique_ptr<CudaBackend>> backend = CudaBackend::create(0);
  ASSERT_OK(backend);
  const std::string folder = ROTOR_SOURCE_DIR "/tests/data/families/" + GetParam().first;
  const auto model = Model::open(folder, std::move(*backend));
  ASSERT_NE(model, nullptr);
  expect_golden(*model, read_golden(folder + "/golden." + GetParam().second + ".safetensors"),
                kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Families, CudaFamilyTest,
                         ::testing::Values(Case{"gemma2", "40"}, Case{"gemma3_text", "40"},
                                           Case{"gpt_oss", "40"}, Case{"gpt_oss_mxfp4", "40"},
                                           Case{"granite", "40"}, Case{"ministral", "40"},
                                           Case{"mistral", "40"}, Case{"olmo2", "40"},
                                           Case{"olmo3", "40"}, Case{"phi3", "24"},
                                           Case{"phi3", "40"}, Case{"qwen2", "40"},
                                           Case{"qwen3", "40"}, Case{"qwen3_5_text", "40"},
                                           Case{"seed_oss", "40"}, Case{"smollm3", "40"}),
                         [](const ::testing::TestParamInfo<Case>& tested) {
                           return tested.param.first + "_" + tested.param.second;
                         });

/// The dense layer of a mixture: behind its router, BF16 and F32 may choose other experts.
class CudaFirstLayerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CudaFirstLayerTest, MatchesTransformersAsFarAsBf16Can) {
  if (visible_devices() == 0) {
    GTEST_SKIP() << "no CUDA device on this machine: not run";
  }
  Result<std::unique_ptr<CudaBackend>> backend = CudaBackend::create(0);
  ASSERT_OK(backend);
  const std::string folder = std::string(ROTOR_SOURCE_DIR "/tests/data/families/") + GetParam();
  const auto model = Model::open(folder, std::move(*backend));
  ASSERT_NE(model, nullptr);
  const testing::Golden golden = read_golden(folder + "/golden.40.safetensors");
  Decoder decoder = model->decoder(40);
  const Tensor x = model->rows(40, model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, golden.input_ids, x));
  const Layer& layer = model->files.architecture.layers[0];
  ASSERT_OK(decoder.forward_layer(layer, model->layers[0], {1, 40}, x));
  EXPECT_LT(testing::relative_distance(testing::values_of(*model->backend, x), golden.hidden[1]),
            kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Families, CudaFirstLayerTest,
                         ::testing::Values("deepseek_v3", "deepseek_v3_fp8", "deepseek_v32",
                                           "glm4_moe", "glm4_moe_lite", "glm_moe_dsa",
                                           "llama4_text"),
                         [](const ::testing::TestParamInfo<const char*>& tested) -> std::string {
                           return tested.param;
                         });

}  // namespace
}  // namespace rotor::worker::cuda
