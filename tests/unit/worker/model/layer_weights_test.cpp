#include "worker/model/layer_weights.h"

#include <gtest/gtest.h>

#include <numeric>

#include "quant/checkpoint/memory_source.h"
#include "quant/format/bf16.h"
#include "tests/support/status_matchers.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker {
namespace {

StoredTensor stored(const std::string& name, DType dtype, std::vector<int64_t> shape) {
  StoredTensor tensor{{name, dtype, std::move(shape)}, {}};
  tensor.bytes.resize(static_cast<size_t>(tensor.spec.byte_size()));
  std::iota(tensor.bytes.begin(), tensor.bytes.end(), uint8_t{1});
  return tensor;
}

Stage biased_stage() {
  Stage stage;
  stage.norm = {"norm.weight", 4, 0.0F};
  stage.in_features = 4;
  stage.linears = {{"q", 6, 4, true, 0}, {"k", 2, 4, false, 0}};
  return stage;
}

MemorySource biased_source() {
  MemorySource source;
  source.add(stored("norm.weight", DType::kF32, {4}));
  source.add(stored("q.weight", DType::kBf16, {6, 4}));
  source.add(stored("q.bias", DType::kBf16, {6}));
  source.add(stored("k.weight", DType::kF16, {2, 4}));
  return source;
}

std::vector<uint8_t> bytes_of(const Tensor& tensor) {
  return {tensor.as<uint8_t>(), tensor.as<uint8_t>() + tensor.bytes()};
}

TEST(LayerWeightsTest, LoadsEveryTensorInItsOwnDtype) {
  const auto backend = make_cpu_backend(1);
  const MemorySource tensors = biased_source();
  StoredWeights source(tensors);
  Layer layer;
  layer.stages = {biased_stage()};
  const auto weights = load_layer(*backend, source, layer);
  ASSERT_OK(weights);
  ASSERT_EQ(weights->stages.size(), 1U);
  const StageWeights& stage = weights->stages[0];
  EXPECT_EQ(stage.norm.dtype(), DType::kF32);
  EXPECT_EQ(stage.norm.cols(), 4);
  ASSERT_EQ(stage.linears.size(), 2U);
  EXPECT_EQ(stage.linears[0].weight.dtype(), DType::kBf16);
  EXPECT_EQ(stage.linears[0].weight.rows(), 6);
  EXPECT_EQ(bytes_of(stage.linears[0].weight), stored("", DType::kBf16, {6, 4}).bytes);
  EXPECT_EQ(bytes_of(stage.linears[0].bias), stored("", DType::kBf16, {6}).bytes);
  EXPECT_EQ(stage.linears[1].weight.dtype(), DType::kF16);
  EXPECT_TRUE(stage.linears[1].bias.empty());
  EXPECT_EQ(stage.linears[1].transform, InputTransform{});
}

TEST(LayerWeightsTest, AddsTheOffsetOfANormInF32) {
  const auto backend = make_cpu_backend(1);
  const MemorySource tensors = biased_source();
  StoredWeights source(tensors);
  const auto plain = load_norm(*backend, source, {"norm.weight", 4, 0.0F});
  const auto offset = load_norm(*backend, source, {"norm.weight", 4, 1.0F});
  ASSERT_OK(plain);
  ASSERT_OK(offset);
  EXPECT_EQ(offset->dtype(), DType::kF32);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(offset->as<float>()[i], plain->as<float>()[i] + 1.0F);
  }
  const auto narrow = load_norm(*backend, source, {"q.bias", 6, 1.0F});
  ASSERT_OK(narrow);
  EXPECT_EQ(narrow->dtype(), DType::kF32);
  EXPECT_EQ(narrow->as<float>()[0], 1.0F + bf16_to_f32(0x0201));
  EXPECT_TRUE(load_norm(*backend, source, {})->empty());
  EXPECT_EQ(load_norm(*backend, source, {"norm.weight", 5, 1.0F}).status().reason(),
            "BAD_TENSOR_SHAPE");
}

TEST(LayerWeightsTest, NamesTheTensorThatIsMissingOrWrong) {
  const auto backend = make_cpu_backend(1);
  const MemorySource empty;
  StoredWeights nothing(empty);
  const auto missing = load_tensor(*backend, nothing, "q.weight", 6, 4);
  EXPECT_EQ(missing.status().reason(), "MISSING_TENSOR");
  EXPECT_NE(missing.status().message().find("q.weight"), std::string::npos);

  MemorySource tensors = biased_source();
  tensors.add(stored("cube", DType::kF32, {2, 2, 2}));
  tensors.add(stored("codes", DType::kU8, {6, 4}));
  StoredWeights source(tensors);
  const auto shape = load_tensor(*backend, source, "q.weight", 4, 6);
  EXPECT_EQ(shape.status().reason(), "BAD_TENSOR_SHAPE");
  EXPECT_NE(shape.status().message().find("[6, 4]"), std::string::npos);
  EXPECT_NE(shape.status().message().find("[4, 6]"), std::string::npos);
  EXPECT_EQ(load_tensor(*backend, source, "cube", 2, 4).status().reason(), "BAD_TENSOR_SHAPE");
  EXPECT_EQ(load_tensor(*backend, source, "codes", 6, 4).status().reason(), "BAD_TENSOR_DTYPE");
}

TEST(LayerWeightsTest, TiedEndsShareTheirMemory) {
  const auto backend = make_cpu_backend(1);
  MemorySource tensors;
  tensors.add(stored("embed.weight", DType::kBf16, {5, 4}));
  tensors.add(stored("head.weight", DType::kBf16, {5, 4}));
  tensors.add(stored("final.weight", DType::kBf16, {4}));
  StoredWeights source(tensors);
  Architecture architecture;
  architecture.config.vocab_size = 5;
  architecture.config.hidden_size = 4;
  architecture.embedding = "embed.weight";
  architecture.final_norm = {"final.weight", 4, 0.0F};
  architecture.head_weight = "embed.weight";
  const auto tied = load_ends(*backend, source, architecture);
  ASSERT_OK(tied);
  EXPECT_EQ(tied->head.data(), tied->embedding.data());
  architecture.head_weight = "head.weight";
  const auto untied = load_ends(*backend, source, architecture);
  ASSERT_OK(untied);
  EXPECT_NE(untied->head.data(), untied->embedding.data());
}

}  // namespace
}  // namespace rotor::worker
