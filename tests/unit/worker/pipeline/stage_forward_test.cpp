#include "worker/pipeline/stage_forward.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "model/model_files.h"
#include "tests/support/memory_sink.h"
#include "tests/support/same_rows.h"
#include "tests/support/status_matchers.h"
#include "worker/model/stored_weights.h"

namespace rotor::worker {
namespace {

constexpr int64_t kSequences = 8;
constexpr int64_t kSeqLen = 48;
constexpr int64_t kPlenty = int64_t{1} << 32;

// Products behind a value of a layer of these models, about.
constexpr int64_t kDepth = 4096;
constexpr const char* kMixture = ROTOR_SOURCE_DIR "/tests/data/families/qwen3_moe";
constexpr const char* kLatent = ROTOR_SOURCE_DIR "/tests/data/families/deepseek_v3";

/// One layer of a model, the first of the demo's if not said otherwise, and one micro-batch before
/// it, on a backend with a limit.
class OneLayer {
 public:
  explicit OneLayer(int64_t memory_limit, const std::string& model = ROTOR_SOURCE_DIR "/demo/model",
                    size_t layer_index = 0)
      : backend_(make_cpu_backend(1, memory_limit)),
        files_(open_model(posix_file_system(), model).value()),
        index_(layer_index) {
    const Architecture& architecture = files_.architecture;
    StoredWeights source(*files_.weights);
    decoder_.emplace(Decoder::create(*backend_, architecture.config, kSeqLen).value());
    weights_ = load_layer(*backend_, source, layer()).value();
    ends_.embedding = load_tensor(*backend_, source, architecture.embedding,
                                  architecture.config.vocab_size, architecture.config.hidden_size)
                          .value();
    TokenWindows windows = testing_support::random_windows(kSequences, kSeqLen, 3);
    for (int32_t& id : windows.ids) {
      id %= static_cast<int32_t>(architecture.config.vocab_size);
    }
    const BatchCut cut{kSequences, kSeqLen, kSequences, 1};
    batches_ = embed_batches(*backend_, *decoder_, ends_, windows, cut, {0, 1}).value();
  }

  Backend& backend() { return *backend_; }
  MicroBatch& batch() { return batches_[0]; }

  Status forward(const MemoryPlan& memory) {
    StageForward stages(*backend_, *decoder_, layer(), memory);
    return stages.forward(weights_, batch());
  }
  /// Stage by stage, as the quantizer goes: the input of each, then what is behind it.
  Status forward_by_stages(const MemoryPlan& memory, std::vector<std::vector<float>>* inputs) {
    StageForward stages(*backend_, *decoder_, layer(), memory);
    for (size_t stage = 0; stage < layer().stages.size(); ++stage) {
      ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, stages.input(stage, weights_, batch()));
      inputs->push_back(values(input.rows));
      ROTOR_RETURN_IF_ERROR(stages.finish(stage, weights_, batch()));
    }
    return {};
  }
  std::vector<float> output() {
    return values(batch().waiting.empty() ? batch().x : batch().waiting);
  }

 private:
  const Layer& layer() const { return files_.architecture.layers[index_]; }
  std::vector<float> values(const Tensor& tensor) {
    std::vector<float> result(static_cast<size_t>(tensor.size()));
    EXPECT_OK(backend_->download(tensor, result.data(), tensor.bytes()));
    return result;
  }

  std::unique_ptr<Backend> backend_;
  ModelFiles files_;
  size_t index_;
  std::optional<Decoder> decoder_;
  LayerWeights weights_;
  EndWeights ends_;  // stays: a limit that holds before the layer runs held all along
  std::vector<MicroBatch> batches_;
};

MemoryPlan keeping(int64_t kept_carry) {
  MemoryPlan memory;
  memory.kept_carry = kept_carry;
  return memory;
}

TEST(StageForwardTest, CarriesThatAreNotKeptAreTheSameWhenComputedAgain) {
  OneLayer reference(0);
  std::vector<std::vector<float>> inputs;
  ASSERT_OK(reference.forward_by_stages(MemoryPlan(), &inputs));
  // Between the attention's width, 256, and the MLP's, 768; and below both.
  for (const int64_t kept : {300, 0}) {
    OneLayer again(0);
    std::vector<std::vector<float>> same;
    ASSERT_OK(again.forward_by_stages(keeping(kept), &same));
    EXPECT_EQ(same, inputs) << kept;
    EXPECT_EQ(again.output(), reference.output()) << kept;
    EXPECT_TRUE(again.batch().carry.empty());
  }
}

TEST(StageForwardTest, AResidualStreamInHostMemoryGivesTheSame) {
  OneLayer reference(0);
  ASSERT_OK(reference.forward(MemoryPlan()));
  OneLayer spilled(0);
  ASSERT_OK(spill(spilled.backend(), spilled.batch()));
  EXPECT_TRUE(spilled.batch().x.empty());
  ASSERT_OK(spilled.forward(MemoryPlan()));
  EXPECT_EQ(spilled.output(), reference.output());

  for (OneLayer* layer : {&reference, &spilled}) {
    const MicroBatch copy = copy_of(layer->backend(), layer->batch()).value();
    EXPECT_EQ(copy.waiting.empty(), layer->batch().waiting.empty());
    const auto memory = [](const MicroBatch& batch) {
      return batch.waiting.empty() ? batch.x.data() : batch.waiting.data();
    };
    EXPECT_NE(memory(copy), memory(layer->batch()));
    layer->batch() = copy;
    EXPECT_EQ(layer->output(), reference.output());
  }
}

TEST(StageForwardTest, TheCarryOfExpertsIsComputedAgainToTheSame) {
  OneLayer reference(0, kMixture);
  std::vector<std::vector<float>> inputs;
  ASSERT_OK(reference.forward_by_stages(MemoryPlan(), &inputs));
  ASSERT_EQ(inputs.size(), 4U);
  EXPECT_EQ(inputs[3].size(), static_cast<size_t>(kSequences * kSeqLen * 3 * 32));
  OneLayer again(0, kMixture);
  std::vector<std::vector<float>> same;
  ASSERT_OK(again.forward_by_stages(keeping(0), &same));
  EXPECT_EQ(same, inputs);
  EXPECT_EQ(again.output(), reference.output());
  OneLayer whole(0, kMixture);
  ASSERT_OK(whole.forward(MemoryPlan()));
  EXPECT_EQ(whole.output(), reference.output());
}

TEST(StageForwardTest, WhatLatentAttentionAndASharedExpertLeaveIsComputedAgainToTheSame) {
  OneLayer reference(0, kLatent, 1);
  std::vector<std::vector<float>> inputs;
  ASSERT_OK(reference.forward_by_stages(MemoryPlan(), &inputs));
  ASSERT_EQ(inputs.size(), 8U);
  EXPECT_TRUE(reference.batch().carry.empty());
  // Latents of up to 48 features, queries of 192, an attention of 128; a shared expert of 64 both
  // ways, and products of 3 * 32.
  for (const int64_t kept : {150, 100, 80, 50, 40, 0}) {
    OneLayer again(0, kLatent, 1);
    std::vector<std::vector<float>> same;
    ASSERT_OK(again.forward_by_stages(keeping(kept), &same));
    EXPECT_EQ(same, inputs) << kept;
    EXPECT_EQ(again.output(), reference.output()) << kept;
    EXPECT_TRUE(again.batch().carry.empty());
  }
  OneLayer whole(0, kLatent, 1);
  ASSERT_OK(whole.forward(MemoryPlan()));
  EXPECT_EQ(whole.output(), reference.output());
}

/// What is in use before the layer runs, and what running it takes besides.
struct Use {
  int64_t before = 0;
  int64_t running = 0;
};

Use measure_use(const std::string& model = ROTOR_SOURCE_DIR "/demo/model", size_t layer = 0) {
  OneLayer roomy(kPlenty, model, layer);
  const int64_t before = roomy.backend().memory_left();
  std::vector<std::vector<float>> inputs;
  EXPECT_OK(roomy.forward(MemoryPlan()));
  // The decoder keeps its scratch; the carry that was computed again is gone with the stages.
  return {kPlenty - before, before - roomy.backend().memory_left()};
}

// faults.19
TEST(StageForwardTest, Faults19_OutOfMemoryRunsFewerSequencesAtATimeToTheSame) {
  OneLayer reference(0);
  ASSERT_OK(reference.forward(MemoryPlan()));
  const Use use = measure_use();
  ASSERT_GT(use.running, 0);
  for (const int64_t share : {2, 4}) {
    SCOPED_TRACE("1/" + std::to_string(share));
    OneLayer tight(use.before + use.running / share);
    ASSERT_OK(tight.forward(MemoryPlan()));
    EXPECT_EQ(tight.output(), reference.output());
  }
}

// faults.19
TEST(StageForwardTest, Faults19_OutOfMemoryInAMixtureRunsFewerSequencesAtATime) {
  OneLayer reference(0, kMixture);
  ASSERT_OK(reference.forward(MemoryPlan()));
  const Use use = measure_use(kMixture);
  OneLayer tight(use.before + use.running / 2, kMixture);
  ASSERT_OK(tight.forward(MemoryPlan()));
  EXPECT_TRUE(testing::same_rows(tight.output(), reference.output(), kDepth));
}

// faults.19
TEST(StageForwardTest, Faults19_OutOfMemoryInLatentAttentionRunsFewerSequencesAtATime) {
  OneLayer reference(0, kLatent, 1);
  ASSERT_OK(reference.forward(MemoryPlan()));
  const Use use = measure_use(kLatent, 1);
  OneLayer tight(use.before + use.running / 2, kLatent, 1);
  ASSERT_OK(tight.forward(MemoryPlan()));
  EXPECT_TRUE(testing::same_rows(tight.output(), reference.output(), kDepth));
}

// faults.19
TEST(StageForwardTest, Faults19_NotEvenOneSequenceIsAnErrorWithNumbers) {
  const Use use = measure_use();
  OneLayer none(use.before + 1024);
  const Status status = none.forward(MemoryPlan());
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(status.reason(), "OUT_OF_MEMORY");
  EXPECT_EQ(status.details().count("needed"), 1U);
  EXPECT_EQ(status.details().at("free"), "1024");
}

// faults.19
TEST(StageForwardTest, Faults19_ACarryThatDoesNotFitIsComputedAgain) {
  OneLayer reference(0);
  std::vector<std::vector<float>> inputs;
  ASSERT_OK(reference.forward_by_stages(MemoryPlan(), &inputs));
  const Use use = measure_use();
  OneLayer tight(use.before + use.running * 3 / 4);
  std::vector<std::vector<float>> same;
  ASSERT_OK(tight.forward_by_stages(MemoryPlan(), &same));
  EXPECT_EQ(same, inputs);
  EXPECT_EQ(tight.output(), reference.output());
}

}  // namespace
}  // namespace rotor::worker
