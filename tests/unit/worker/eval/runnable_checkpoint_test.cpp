#include "worker/eval/runnable_checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "model/model_files.h"
#include "quant/checkpoint/safetensors_writer.h"
#include "quant/checkpoint/sharding.h"
#include "quant/scales/scale_search.h"
#include "tests/support/other_head.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/worker/golden.h"
#include "worker/model/decoder.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker {
namespace {

const char* const kDemoModel = ROTOR_SOURCE_DIR "/demo/model";
constexpr float kInputAmax = 13.44F;

/// How the demo model is quantized (rounded to nearest), and what its decoded linears are in
/// memory.
struct Recipe {
  Format format = Format::kNvfp4;
  Activations activations = Activations::kA16;
  int rotation = 0;
  int64_t int4_group = 0;
  Layout layout = Layout::kCompressedTensors;
};

float input_scale(const QuantScheme& scheme) {
  return global_scale_for(scheme, kInputAmax);
}

class RunnableCheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto files = open_model(posix_file_system(), kDemoModel);
    ASSERT_OK(files);
    files_ = std::move(files).value();
  }

  /// Rounds a module, keeps what it decodes to, and returns it as it is stored.
  Result<QuantizedMatrix> quantize(const Recipe& recipe, const QuantScheme& scheme,
                                   const Linear& linear, LinearWeights& decoded) {
    StoredWeights source(*files_.checkpoint);
    ROTOR_ASSIGN_OR_RETURN(const Tensor weight,
                           load_tensor(*backend_, source, linear.name + ".weight",
                                       linear.out_features, linear.in_features));
    ROTOR_ASSIGN_OR_RETURN(
        const Tensor rotated,
        backend_->allocate(DType::kF32, linear.out_features, linear.in_features));
    ROTOR_RETURN_IF_ERROR(
        backend_->rotate(weight, recipe.rotation == 0 ? 1 : recipe.rotation, rotated));
    QuantizedMatrix matrix;
    matrix.scheme = scheme;
    matrix.rows = linear.out_features;
    matrix.cols = linear.in_features;
    // One for all modules, so that those that engines fuse agree.
    matrix.global_scale = global_scale_for(scheme, 4.0F);
    matrix.input_global_scale = recipe.activations == Activations::kA4 && has_global_scale(scheme)
                                    ? input_scale(scheme)
                                    : 0.0F;
    ROTOR_ASSIGN_OR_RETURN(
        const Scales scales,
        backend_->search_scales(rotated, scheme, matrix.global_scale, ScaleSearch::kMse, Tensor()));
    ROTOR_ASSIGN_OR_RETURN(const Tensor codes, backend_->allocate(DType::kU8, linear.out_features,
                                                                  linear.in_features / 2));
    ROTOR_RETURN_IF_ERROR(backend_->round_to_nearest(rotated, scheme, scales, codes));
    ROTOR_RETURN_IF_ERROR(backend_->dequantize(codes, scheme, scales.effective, rotated));
    decoded.weight = rotated;
    decoded.transform.rotation = recipe.rotation;
    if (recipe.activations == Activations::kA4) {
      decoded.transform.quant =
          ActivationQuant{scheme, has_global_scale(scheme) ? input_scale(scheme) : 1.0F};
    }
    matrix.codes.assign(codes.as<uint8_t>(), codes.as<uint8_t>() + codes.bytes());
    matrix.scales.assign(scales.stored.as<uint8_t>(),
                         scales.stored.as<uint8_t>() + scales.stored.bytes());
    return matrix;
  }

  /// Writes the quantized demo model to `directory`; returns its layers as they should be run.
  std::vector<LayerWeights> write(const Recipe& recipe, const std::string& directory) {
    const QuantScheme scheme =
        make_scheme(recipe.format, recipe.int4_group, DType::kBf16, recipe.layout).value();
    const CheckpointLayout& layout = find_layout(recipe.layout);
    QuantizationInfo info;
    info.scheme = scheme;
    info.activations = recipe.activations;
    info.ignored = {files_.architecture.head};
    std::vector<StoredTensor> stored;
    std::vector<LayerWeights> layers;
    StoredWeights source(*files_.checkpoint);
    for (const Layer& layer : files_.architecture.layers) {
      LayerWeights& weights = layers.emplace_back();
      for (const Stage& stage : layer.stages) {
        weights.stages.push_back(load_stage_vectors(*backend_, source, stage).value());
        for (size_t i = 0; i < stage.linears.size(); ++i) {
          const Linear& linear = stage.linears[i];
          auto matrix = quantize(recipe, scheme, linear, weights.stages.back().linears[i]);
          EXPECT_OK(matrix);
          auto tensors = layout.encode(linear.name, recipe.activations, std::move(matrix).value());
          EXPECT_OK(tensors);
          std::move(tensors->begin(), tensors->end(), std::back_inserter(stored));
          info.modules.push_back(
              {linear.name, linear.out_features, linear.in_features, recipe.rotation});
        }
      }
    }
    for (RotationTensor& rotation : layout.rotation_tensors(info)) {
      stored.push_back(std::move(rotation.tensor));
    }
    write_files(layout, info, stored, directory);
    return layers;
  }

  void write_files(const CheckpointLayout& layout, const QuantizationInfo& info,
                   const std::vector<StoredTensor>& stored, const std::string& directory) {
    const auto specs = checkpoint_tensors(layout, info, files_.checkpoint->tensors());
    ASSERT_OK(specs);
    auto writer =
        SafetensorsWriter::create(posix_file_system(), directory + "/" + kSingleShardName, *specs);
    ASSERT_OK(writer);
    for (const StoredTensor& tensor : stored) {
      EXPECT_OK((*writer)->write(tensor.spec.name, 0, tensor.bytes.data(), tensor.bytes.size()));
    }
    for (const TensorSpec& spec : files_.checkpoint->tensors()) {
      // ModelOpt's codes have the name of the weight.
      const SafetensorsEntry* wanted = (*writer)->find(spec.name);
      if (wanted != nullptr && wanted->spec == spec) {
        const auto bytes = read_tensor(*files_.checkpoint, spec.name).value();
        EXPECT_OK((*writer)->write(spec.name, 0, bytes.data(), bytes.size()));
      }
    }
    EXPECT_OK((*writer)->finish());
    const auto config = layout.config_json(files_.config_text, info);
    ASSERT_OK(config);
    EXPECT_OK(write_file_atomically(posix_file_system(), directory + "/config.json", *config));
  }

  std::vector<float> run(const std::vector<LayerWeights>& layers) {
    const std::vector<int32_t> ids =
        testing::read_golden(ROTOR_SOURCE_DIR "/tests/data/demo_forward.safetensors").input_ids;
    const auto tokens = static_cast<int64_t>(ids.size());
    const ModelConfig& config = files_.architecture.config;
    Decoder decoder = Decoder::create(*backend_, config, tokens).value();
    StoredWeights source(*files_.checkpoint);
    const EndWeights ends = load_ends(*backend_, source, files_.architecture).value();
    const Tensor x = backend_->allocate(DType::kF32, tokens, config.hidden_size).value();
    EXPECT_OK(decoder.embed(ends, ids, x));
    for (size_t i = 0; i < layers.size(); ++i) {
      EXPECT_OK(decoder.forward_layer(files_.architecture.layers[i], layers[i], {1, tokens}, x));
    }
    return {x.as<float>(), x.as<float>() + x.size()};
  }

  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
  ModelFiles files_;
};

TEST_F(RunnableCheckpointTest, RunsWhatTheSolverLeft) {
  const std::vector<float> original = [&] {
    const auto checkpoint = RunnableCheckpoint::open(posix_file_system(), kDemoModel).value();
    std::vector<LayerWeights> layers;
    for (const Layer& layer : checkpoint.architecture().layers) {
      layers.push_back(checkpoint.layer(*backend_, layer).value());
    }
    return run(layers);
  }();
  for (const Recipe& recipe : {
           Recipe{Format::kNvfp4, Activations::kA16, 0, 0},
           Recipe{Format::kNvfp4, Activations::kA4, 16, 0},
           Recipe{Format::kMxfp4, Activations::kA16, 128, 0},
           Recipe{Format::kMxfp4, Activations::kA4, 32, 0},
           Recipe{Format::kInt4, Activations::kA16, 0, 32},
           Recipe{Format::kNvfp4, Activations::kA4, 32, 0, Layout::kFpQuant},
           Recipe{Format::kMxfp4, Activations::kA4, 128, 0, Layout::kFpQuant},
           Recipe{Format::kNvfp4, Activations::kA16, 0, 0, Layout::kModelOpt},
           Recipe{Format::kNvfp4, Activations::kA4, 0, 0, Layout::kModelOpt},
       }) {
    SCOPED_TRACE(std::string(to_string(recipe.layout)) + " " +
                 std::string(to_string(recipe.format)) + " " +
                 std::string(to_string(recipe.activations)) + " rotation " +
                 std::to_string(recipe.rotation));
    const rotor::testing::TemporaryDirectory directory;
    const std::vector<LayerWeights> expected = write(recipe, directory.path());
    const auto checkpoint = RunnableCheckpoint::open(posix_file_system(), directory.path());
    ASSERT_OK(checkpoint);
    std::vector<LayerWeights> layers;
    for (size_t i = 0; i < expected.size(); ++i) {
      auto weights = checkpoint->layer(*backend_, checkpoint->architecture().layers[i]);
      ASSERT_OK(weights);
      for (size_t s = 0; s < weights->stages.size(); ++s) {
        for (size_t l = 0; l < weights->stages[s].linears.size(); ++l) {
          EXPECT_EQ(weights->stages[s].linears[l].transform,
                    expected[i].stages[s].linears[l].transform);
        }
      }
      layers.push_back(std::move(weights).value());
    }
    const std::vector<float> actual = run(layers);
    EXPECT_EQ(actual, run(expected));
    // Rounding to nearest costs some percent; an input rotated wrongly costs everything.
    const double distance = testing::relative_distance(actual, original);
    EXPECT_GT(distance, 1e-4);
    EXPECT_LT(distance, 0.5);
  }
}

TEST_F(RunnableCheckpointTest, RefusesCodesOfAnIgnoredModule) {
  const rotor::testing::TemporaryDirectory directory;
  write({}, directory.path());
  const std::string path = directory.path() + "/config.json";
  std::string config = read_whole_file(posix_file_system(), path, 1 << 20).value();
  const std::string ignored = "\"lm_head\"";
  const size_t at = config.find(ignored);
  ASSERT_NE(at, std::string::npos);
  config.insert(at + ignored.size(), ", \"model.layers.0.mlp.down_proj\"");
  EXPECT_OK(write_file_atomically(posix_file_system(), path, config));
  const auto checkpoint = RunnableCheckpoint::open(posix_file_system(), directory.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().reason(), "BAD_CHECKPOINT");
  EXPECT_NE(checkpoint.status().message().find("model.layers.0.mlp.down_proj"), std::string::npos);
}

TEST_F(RunnableCheckpointTest, RefusesAModelThatHasMoreQuantizedModulesThanLinears) {
  const rotor::testing::TemporaryDirectory directory;
  write({}, directory.path());
  const std::string path = directory.path() + "/config.json";
  std::string config = read_whole_file(posix_file_system(), path, 1 << 20).value();
  const std::string layers = "\"num_hidden_layers\": 4";
  const size_t at = config.find(layers);
  ASSERT_NE(at, std::string::npos);
  config.replace(at, layers.size(), "\"num_hidden_layers\": 3");
  EXPECT_OK(write_file_atomically(posix_file_system(), path, config));
  const auto checkpoint = RunnableCheckpoint::open(posix_file_system(), directory.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.status().code(), Code::kUnimplemented);
  EXPECT_NE(checkpoint.status().message().find("model.layers.3."), std::string::npos);
}

TEST(RunnableCheckpoint, OfAnotherModelThanItsConfigSaysIsRefused) {
  const rotor::testing::TemporaryDirectory directory;
  const std::string model = directory / "model";
  std::filesystem::copy(kDemoModel, model);
  rotor::testing::put_other_head(model);
  EXPECT_FAILS(RunnableCheckpoint::open(posix_file_system(), model), Code::kInvalidArgument,
               "UNTIED_HEAD", "lm_head.weight");
}

}  // namespace
}  // namespace rotor::worker
