#include "worker/model/decoder.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/status_matchers.h"
#include "tests/unit/worker/golden_model.h"

namespace rotor::worker {
namespace {

using testing::expect_golden;
using testing::Golden;
using testing::Model;
using testing::read_golden;
using testing::relative_distance;
using testing::values_of;

constexpr double kTolerance = 2e-3;

std::unique_ptr<Model> demo_model() {
  return Model::open(ROTOR_SOURCE_DIR "/demo/model");
}

Golden demo_golden() {
  return read_golden(ROTOR_SOURCE_DIR "/tests/data/demo_forward.safetensors");
}

TEST(DecoderTest, MatchesTransformersOnTheDemoModel) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  expect_golden(*model, demo_golden(), kTolerance);
}

TEST(DecoderTest, MatchesTransformersOnTheReferenceModels) {
  const auto data = testing::data_dir();
  if (!data) {
    GTEST_SKIP() << "set ROTOR_DATA_DIR to the reference data";
  }
  for (const std::string name : {"demo-4m", "llama-22m", "qwen3moe-20m"}) {
    SCOPED_TRACE(name);
    const auto model = Model::open(*data + "/models/" + name);
    ASSERT_NE(model, nullptr);
    expect_golden(*model, read_golden(*data + "/golden/" + name + "/forward.safetensors"),
                  kTolerance);
  }
}

TEST(DecoderTest, StagesMakeUpTheLayer) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  const Golden golden = demo_golden();
  const BatchShape shape{2, 32};
  Decoder decoder = model->decoder(32);
  const Tensor whole = model->rows(64, model->config().hidden_size);
  const Tensor staged = model->rows(64, model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, golden.input_ids, whole));
  ASSERT_OK(decoder.embed(model->ends, golden.input_ids, staged));
  const Layer& layer = model->files.architecture.layers[0];
  ASSERT_OK(decoder.forward_layer(layer, model->layers[0], shape, whole));

  Carry carry;
  for (size_t s = 0; s < layer.stages.size(); ++s) {
    const Stage& stage = layer.stages[s];
    const StageWeights& weights = model->layers[0].stages[s];
    // The caller may ask twice: once for the Hessian, once to go on.
    ASSERT_OK(decoder.stage_input(stage, weights, staged, carry));
    const auto input = decoder.stage_input(stage, weights, staged, carry);
    ASSERT_OK(input);
    EXPECT_EQ(input->rows.cols(), stage.in_features);
    Carry left;
    for (const CarryPart& part : stage.leaves) {
      left.put(part.slot, model->rows(64, part.features));
      EXPECT_EQ(part.features, layer.stages[s + 1].in_features);
    }
    ASSERT_OK(decoder.finish_stage(stage, weights, shape, *input, staged, carry, &left));
    carry.pass(stage, left);
  }
  EXPECT_EQ(values_of(*model->backend, staged), values_of(*model->backend, whole));
}

TEST(DecoderTest, SequencesOfABatchDoNotSeeEachOther) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  const Golden golden = demo_golden();
  std::vector<int32_t> twice(golden.input_ids.begin(), golden.input_ids.begin() + 32);
  twice.insert(twice.end(), golden.input_ids.begin(), golden.input_ids.begin() + 32);
  Decoder decoder = model->decoder(32);
  const Tensor x = model->rows(64, model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, twice, x));
  for (size_t i = 0; i < model->layers.size(); ++i) {
    ASSERT_OK(
        decoder.forward_layer(model->files.architecture.layers[i], model->layers[i], {2, 32}, x));
  }
  const std::vector<float> all = values_of(*model->backend, x);
  const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
  // Not the same bits: a GEMM may treat rows by their place in the tile.
  EXPECT_LT(relative_distance({all.begin(), all.begin() + half}, {all.begin() + half, all.end()}),
            1e-5);
}

TEST(DecoderTest, RotatedWeightsAndInputsGiveTheSameLayer) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  const Golden golden = demo_golden();
  const BatchShape shape{1, 64};
  Decoder decoder = model->decoder(64);
  const Layer& layer = model->files.architecture.layers[0];
  LayerWeights rotated = model->layers[0];
  int block = 16;
  for (StageWeights& stage : rotated.stages) {
    for (LinearWeights& linear : stage.linears) {
      const Tensor weight = model->rows(linear.weight.rows(), linear.weight.cols());
      ASSERT_OK(model->backend->rotate(linear.weight, block, weight));
      linear.weight = weight;
      linear.transform.rotation = block;
      block = block == 16 ? 32 : 16;  // neighbours with different transforms
    }
  }
  const Tensor expected = model->rows(64, model->config().hidden_size);
  const Tensor actual = model->rows(64, model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, golden.input_ids, expected));
  ASSERT_OK(decoder.embed(model->ends, golden.input_ids, actual));
  ASSERT_OK(decoder.forward_layer(layer, model->layers[0], shape, expected));
  ASSERT_OK(decoder.forward_layer(layer, rotated, shape, actual));
  EXPECT_LT(
      relative_distance(values_of(*model->backend, actual), values_of(*model->backend, expected)),
      1e-5);
}

TEST(DecoderTest, QuantizedActivationsAreQuantizedAfterTheRotation) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  const Golden golden = demo_golden();
  const BatchShape shape{1, 64};
  Decoder decoder = model->decoder(64);
  const Layer& layer = model->files.architecture.layers[0];
  const Stage& stage = layer.stages[3];
  StageWeights weights = model->layers[0].stages[3];
  const Tensor input = model->rows(64, stage.in_features);
  std::vector<float> wave(static_cast<size_t>(input.size()));
  for (size_t i = 0; i < wave.size(); ++i) {
    wave[i] = static_cast<float>(i % 37) - 18.0F;
  }
  ASSERT_OK(model->backend->upload(wave.data(), input.bytes(), input));
  const ActivationQuant quant{{Format::kMxfp4, 32, DType::kU8}, 1.0F};
  weights.linears[0].transform = {64, quant};

  const Tensor prepared = model->rows(64, stage.in_features);
  ASSERT_OK(model->backend->rotate(input, 64, prepared));
  ASSERT_OK(model->backend->quantize_activations(prepared, quant, prepared));
  const Tensor expected = model->rows(64, model->config().hidden_size);
  ASSERT_OK(model->backend->linear(prepared, weights.linears[0].weight, Tensor(), expected));

  const Tensor x = model->rows(64, model->config().hidden_size);
  const std::vector<float> zeros(static_cast<size_t>(x.size()), 0.0F);
  ASSERT_OK(model->backend->upload(zeros.data(), x.bytes(), x));
  Carry none;
  ASSERT_OK(decoder.finish_stage(stage, weights, shape, {input, {}}, x, Carry(), &none));
  EXPECT_EQ(values_of(*model->backend, x), values_of(*model->backend, expected));
  EXPECT_EQ(values_of(*model->backend, input), wave) << "the shared input must stay as it is";
}

TEST(DecoderTest, RefusesSequencesThatTheModelDoesNotTake) {
  const auto model = demo_model();
  ASSERT_NE(model, nullptr);
  for (const int64_t length : {int64_t{0}, model->config().max_position_embeddings + 1}) {
    const auto decoder = Decoder::create(*model->backend, model->config(), length);
    ASSERT_FALSE(decoder.ok());
    EXPECT_EQ(decoder.status().reason(), "BAD_SEQUENCE_LENGTH");
  }
  ModelConfig sparse = model->config();
  sparse.latent.emplace().indexer.emplace().chosen = 8;
  const auto decoder = Decoder::create(*model->backend, sparse, 9);
  ASSERT_FALSE(decoder.ok());
  EXPECT_EQ(decoder.status().reason(), "BAD_SEQUENCE_LENGTH");
  EXPECT_NE(decoder.status().message().find("1 to 8 (index_topk"), std::string::npos);
}

}  // namespace
}  // namespace rotor::worker
