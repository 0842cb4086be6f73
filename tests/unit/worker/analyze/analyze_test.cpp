// The demo model is small enough to be measured whole: what the analysis says must be what the
// algorithm library makes of the tensors as they are read and run here by themselves.
#include "worker/analyze/analyze.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "quant/rotation/hadamard.h"
#include "quant/scales/scale_search.h"
#include "tests/support/memory_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/golden_model.h"
#include "worker/analyze/analysis_json.h"

namespace rotor::worker {
namespace {

constexpr const char* kDemo = ROTOR_SOURCE_DIR "/demo/model";
constexpr const char* kTiny = ROTOR_SOURCE_DIR "/tests/data/families/qwen3";
constexpr const char* kBiased = ROTOR_SOURCE_DIR "/tests/data/families/qwen2";
constexpr const char* kMixture = ROTOR_SOURCE_DIR "/tests/data/families/qwen3_moe";

AnalyzeTask task_for(const ModelFiles& model, std::vector<int> layers) {
  AnalyzeTask task;
  task.windows = testing_support::random_windows(3, 40, 7);
  for (int32_t& id : task.windows.ids) {
    id %= static_cast<int32_t>(model.architecture.config.vocab_size);
  }
  task.layers = std::move(layers);
  task.time_a_layer = false;
  return task;
}

Result<Analysis> analyzed(const testing::Model& model, const AnalyzeTask& task) {
  SerialParallel serial;
  return analyze(*model.backend, model.files, task, serial, [](int64_t, int64_t) {});
}

float largest(const std::vector<float>& values) {
  float result = 0.0F;
  for (const float value : values) {
    result = std::max(result, std::abs(value));
  }
  return result;
}

TEST(Analyze, WeightsAreMeasuredAsTheLibraryDoes) {
  const auto model = testing::Model::open(kDemo);
  const Analysis found = analyzed(*model, task_for(model->files, {1})).value();
  const Layer& layer = model->files.architecture.layers[1];
  ASSERT_EQ(found.stages.size(), layer.stages.size());
  EXPECT_EQ(found.layers, std::vector<int>{1});
  const StageFigures& qkv = found.stages[0];
  EXPECT_EQ(qkv.family, StageFamily::kQkv);
  ASSERT_EQ(qkv.modules.size(), 3U);
  SerialParallel serial;
  constexpr size_t kBlockOf64 = 3;
  std::vector<std::vector<float>> plain;
  std::vector<std::vector<float>> rotated;
  float amax = 0.0F;
  for (const LinearWeights& linear : model->layers[1].stages[0].linears) {
    plain.push_back(testing::values_of(*model->backend, linear.weight));
    rotated.push_back(plain.back());
    ASSERT_OK(rotate_rows(plain.back().data(), DType::kF32, linear.weight.rows(),
                          linear.weight.cols(), 64, rotated.back().data(), serial));
    amax = std::max(amax, largest(rotated.back()));
  }
  const QuantScheme nvfp4 = make_scheme(Format::kNvfp4, 0, DType::kBf16).value();
  for (size_t i = 0; i < qkv.modules.size(); ++i) {
    const ModuleFigures& module = qkv.modules[i];
    const FormatFigures& figures = *find_figures(module.weights, kBlockOf64, Format::kNvfp4);
    // q, k and v have one global scale: the largest of all three decides it.
    const RotatedRows rows{plain[i].data(), rotated[i].data(), module.rows, module.cols, 64};
    const float global = global_scale_for(nvfp4, amax);
    EXPECT_EQ(figures.absmax.squared_error,
              weight_errors(rows, nvfp4, global, ScaleSearch::kAbsmax, serial)->squared_error);
    EXPECT_EQ(figures.searched->squared_error,
              weight_errors(rows, nvfp4, global, ScaleSearch::kMse, serial)->squared_error);
    EXPECT_EQ(module.weights[kBlockOf64].values.excess_kurtosis,
              describe_values(rotated[i]).excess_kurtosis);
  }
}

TEST(Analyze, InputsAreThoseOfTheForwardPass) {
  const auto model = testing::Model::open(kDemo);
  const AnalyzeTask task = task_for(model->files, {0});
  const Analysis found = analyzed(*model, task).value();
  Decoder decoder = model->decoder(task.windows.seq_len);
  const Tensor x = model->rows(std::ssize(task.windows.ids), model->config().hidden_size);
  ASSERT_OK(decoder.embed(model->ends, task.windows.ids, x));
  const Tensor input = decoder
                           .stage_input(model->files.architecture.layers[0].stages[0],
                                        model->layers[0].stages[0], x, Carry())
                           .value()
                           .rows;
  const std::vector<float> values = testing::values_of(*model->backend, input);
  const Figures& inputs = found.stages[0].inputs;
  EXPECT_EQ(inputs[0].values.count, std::ssize(values));
  EXPECT_NEAR(inputs[0].values.excess_kurtosis, describe_values(values).excess_kurtosis, 1e-9);
  SerialParallel serial;
  const QuantScheme nvfp4 = make_scheme(Format::kNvfp4, 0, DType::kBf16).value();
  const RotatedRows rows{values.data(), values.data(), input.rows(), input.cols(), 0};
  const FormatErrors expected =
      input_errors(rows, nvfp4, global_scale_for(nvfp4, largest(values)), serial).value();
  const FormatErrors& errors = find_figures(inputs, 0, Format::kNvfp4)->absmax;
  EXPECT_NEAR(errors.squared_error, expected.squared_error, 1e-9 * expected.squared_error);
  EXPECT_EQ(errors.groups, expected.groups);
}

TEST(Analyze, LaterLayersSeeWhatEarlierOnesGive) {
  const auto model = testing::Model::open(kTiny);
  const Analysis all = analyzed(*model, task_for(model->files, {})).value();
  const Analysis last = analyzed(*model, task_for(model->files, {1})).value();
  EXPECT_EQ(all.layers, (std::vector<int>{0, 1}));
  ASSERT_EQ(all.stages.size(), 8U);
  ASSERT_EQ(last.stages.size(), 4U);
  for (size_t s = 0; s < 4; ++s) {
    EXPECT_EQ(all.stages[4 + s].inputs[0].values.deviation,
              last.stages[s].inputs[0].values.deviation)
        << "whether layers before it are looked at changes nothing";
    EXPECT_NE(all.stages[4 + s].inputs[0].values.deviation,
              all.stages[s].inputs[0].values.deviation);
  }
}

std::vector<int> blocks_of(const Figures& figures) {
  std::vector<int> blocks;
  for (const RotationFigures& one : figures) {
    blocks.push_back(one.block);
  }
  return blocks;
}

TEST(Analyze, BlocksAreThoseThatAJobWouldTake) {
  const auto model = testing::Model::open(kTiny);
  const Analysis found = analyzed(*model, task_for(model->files, {0})).value();
  EXPECT_EQ(blocks_of(found.stages[0].inputs), (std::vector<int>{0, 16, 32, 64, 64}));
  const StageFigures& down = found.stages[3];
  EXPECT_EQ(down.modules[0].cols, 96);
  EXPECT_EQ(blocks_of(down.modules[0].weights), (std::vector<int>{0, 16, 32, 32, 32}));
  EXPECT_EQ(down.inputs[4].rotation, 128);
  EXPECT_EQ(down.inputs[4].values.excess_kurtosis, down.inputs[2].values.excess_kurtosis);
  EXPECT_NE(find_figures(down.inputs, 0, Format::kMxfp4), nullptr);
  EXPECT_EQ(find_figures(down.inputs, 0, Format::kInt4), nullptr) << "groups of 128 do not fit";
  const auto biased = testing::Model::open(kBiased);
  const Analysis of_biased = analyzed(*biased, task_for(biased->files, {0})).value();
  EXPECT_EQ(blocks_of(of_biased.stages[0].inputs), (std::vector<int>{0, 0, 0, 0, 0}))
      << "engines allow no bias on a rotated linear";
}

TEST(Analyze, ExpertsAreMeasuredUnrotated) {
  const auto model = testing::Model::open(kMixture);
  const Analysis found = analyzed(*model, task_for(model->files, {})).value();
  int64_t experts = 0;
  for (const StageFigures& stage : found.stages) {
    if (stage.modules.size() > 3) {
      ++experts;
      for (const RotationFigures& figures : stage.modules.front().weights) {
        EXPECT_EQ(figures.block, 0) << "engines rotate no input of an expert";
        EXPECT_EQ(figures.values.count, stage.modules.front().weights[0].values.count);
      }
    }
  }
  EXPECT_GT(experts, 0);
}

TEST(Analyze, ALayerIsTimedOnCopies) {
  const auto model = testing::Model::open(kTiny);
  AnalyzeTask task = task_for(model->files, {1});
  const Analysis before = analyzed(*model, task).value();
  EXPECT_FALSE(before.time.has_value());
  task.time_a_layer = true;
  const Analysis timed = analyzed(*model, task).value();
  ASSERT_TRUE(timed.time.has_value());
  EXPECT_EQ(timed.time->layer, 1);
  EXPECT_EQ(timed.time->tokens, 120);
  EXPECT_GT(timed.time->by_token_seconds, 0.0);
  EXPECT_GT(timed.time->fixed_seconds, 0.0);
  EXPECT_EQ(analysis_json(before)["stages"], analysis_json(timed)["stages"]);
}

TEST(Analyze, RefusesALayerThatIsNotThere) {
  const auto model = testing::Model::open(kTiny);
  const Status status = analyzed(*model, task_for(model->files, {0, 2})).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.reason(), "NO_SUCH_LAYER");
  EXPECT_NE(status.message().find("layers 0 to 1"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace rotor::worker
