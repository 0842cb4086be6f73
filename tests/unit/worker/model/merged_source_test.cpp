#include "worker/model/merged_source.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "model/merged_tensor.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/golden_model.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker {
namespace {

constexpr int64_t kTokens = 32;

std::vector<float> logits(Backend& backend, const Architecture& architecture,
                          WeightSource& source) {
  const ModelConfig& config = architecture.config;
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < kTokens; ++t) {
    ids.push_back(static_cast<int32_t>((t * 37 + 5) % std::min<int64_t>(config.vocab_size, 200)));
  }
  Decoder decoder = Decoder::create(backend, config, kTokens).value();
  const auto rows = [&](int64_t cols) {
    return backend.allocate(DType::kF32, kTokens, cols).value();
  };
  const Tensor x = rows(config.hidden_size);
  const Tensor normed = rows(config.hidden_size);
  const Tensor out = rows(config.vocab_size);
  const Result<EndWeights> ends = load_ends(backend, source, architecture);
  EXPECT_OK(ends);
  EXPECT_OK(decoder.embed(*ends, ids, x));
  for (const Layer& layer : architecture.layers) {
    const Result<LayerWeights> weights = load_layer(backend, source, layer);
    EXPECT_OK(weights);
    EXPECT_OK(decoder.forward_layer(layer, *weights, {1, kTokens}, x));
  }
  EXPECT_OK(decoder.final_norm(*ends, x, normed));
  EXPECT_OK(backend.linear(normed, ends->head, Tensor(), out));
  return testing::values_of(backend, out);
}

struct Case {
  std::string name;
  std::string directory;
  int block;
};

/// The demo model, and every family there is with two blocks.
std::vector<Case> cases() {
  std::vector<Case> all = {{"demo_16", "demo/model", 16}, {"demo_128", "demo/model", 128}};
  const std::string families = "tests/data/families";
  for (const auto& entry : std::filesystem::directory_iterator(ROTOR_SOURCE_DIR "/" + families)) {
    if (entry.is_directory() && std::filesystem::exists(entry.path() / "config.json")) {
      const std::string family = entry.path().filename();
      all.push_back({family + "_16", families + "/" + family, 16});
      all.push_back({family + "_64", families + "/" + family, 64});
    }
  }
  return all;
}

class MergedSourceTest : public ::testing::TestWithParam<Case> {
 protected:
  /// False: the family's mathematics leaves no place for a merged rotation, and the plan says so.
  bool open() {
    auto files = open_model(posix_file_system(), ROTOR_SOURCE_DIR "/" + GetParam().directory);
    EXPECT_OK(files);
    files_ = std::move(files).value();
    auto plan = plan_merge(files_.architecture, GetParam().block);
    if (!plan.ok()) {
      EXPECT_EQ(plan.status().reason(), "CANNOT_MERGE_ROTATION") << plan.status().message();
      return false;
    }
    plan_ = std::move(plan).value();
    return true;
  }

  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
  ModelFiles files_;
  MergePlan plan_;
};

TEST_P(MergedSourceTest, TheMergedModelHasTheSameLogits) {
  if (!open()) {
    return;
  }
  StoredWeights stored(*files_.weights);
  const std::vector<float> original = logits(*backend_, files_.architecture, stored);
  for (auto& [name, merge] : plan_.tensors) {
    merge.exact = true;  // nothing is rounded to BF16
  }
  MergedSource merged(stored, plan_);
  const std::vector<float> rotated =
      logits(*backend_, merged_architecture(files_.architecture), merged);
  EXPECT_LT(testing::relative_distance(rotated, original), 1e-5);

  // And each part of it is needed.
  MergePlan without = plan_;
  without.tensors.erase(files_.architecture.embedding);
  MergedSource broken(stored, without);
  EXPECT_GT(testing::relative_distance(
                logits(*backend_, merged_architecture(files_.architecture), broken), original),
            1e-2);
}

TEST_P(MergedSourceTest, WhatIsNotQuantizedIsRoundedAsTheCheckpointStoresIt) {
  if (!open()) {
    return;
  }
  StoredWeights stored(*files_.weights);
  MergedSource merged(stored, plan_);
  for (const auto& [name, merge] : plan_.tensors) {
    const auto shape = merged.shape(name);
    ASSERT_OK(shape);
    EXPECT_EQ(shape->dtype, files_.weights->find(merge.source)->dtype);
    const auto tensor = merged.load(*backend_, name, *shape);
    ASSERT_OK(tensor);
    std::vector<uint8_t> loaded(tensor->bytes());
    ASSERT_OK(backend_->download(*tensor, loaded.data(), loaded.size()));
    // Piece by piece, as the coordinator copies it.
    const auto file = MergedTensor::open(*files_.weights, merge);
    ASSERT_OK(file);
    std::vector<uint8_t> copied(loaded.size());
    for (int64_t row = 0; row < file->rows(); row += file->rows_step()) {
      ASSERT_OK(file->read(row, file->rows_step(), copied.data() + row * file->row_bytes()));
    }
    EXPECT_EQ(copied, loaded) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MergedSourceTest, ::testing::ValuesIn(cases()),
                         [](const ::testing::TestParamInfo<Case>& test) {
                           return test.param.name;
                         });

TEST(MergedSource, RefusesFamiliesWhoseNormsStandBehind) {
  for (const char* family : {"gemma2", "gemma3_text", "olmo2"}) {
    const auto files = open_model(posix_file_system(),
                                  ROTOR_SOURCE_DIR "/tests/data/families/" + std::string(family));
    ASSERT_OK(files);
    EXPECT_FAILS(plan_merge(files->architecture, 16), Code::kInvalidArgument,
                 "CANNOT_MERGE_ROTATION", "does not commute with the rotation");
  }
}

}  // namespace
}  // namespace rotor::worker
