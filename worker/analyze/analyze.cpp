#include "worker/analyze/analyze.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "worker/analyze/stage_analyzer.h"
#include "worker/model/stored_weights.h"
#include "worker/pipeline/stage_forward.h"
#include "worker/pipeline/stage_solver.h"

namespace rotor::worker {
namespace {

/// The default recipe of NVFP4, under one rotation.
Result<ModelPlan> plan_of(const ModelFiles& model, const TokenWindows& windows, int rotation) {
  const ModelConfig& config = model.architecture.config;
  QuantOptions options;
  ROTOR_ASSIGN_OR_RETURN(options.scheme, make_scheme(Format::kNvfp4, 0, config.dtype));
  options.rotation = rotation;
  options.micro_batch_sequences =
      default_micro_batch_sequences(config, windows.sequences(), windows.seq_len, options.lanes);
  return make_plan(model.architecture, options);
}

/// By layer and stage, the blocks that plans make of the rotations.
using StageBlocks = std::vector<std::vector<Blocks>>;

Result<StageBlocks> plan_blocks(const ModelFiles& model, const TokenWindows& windows) {
  StageBlocks blocks;
  for (size_t r = 0; r < kAnalyzedRotations.size(); ++r) {
    ROTOR_ASSIGN_OR_RETURN(const ModelPlan plan, plan_of(model, windows, kAnalyzedRotations[r]));
    blocks.resize(plan.layers.size());
    for (size_t l = 0; l < plan.layers.size(); ++l) {
      blocks[l].resize(plan.layers[l].stages.size());
      for (size_t s = 0; s < plan.layers[l].stages.size(); ++s) {
        blocks[l][s][r] = stage_rotation(plan.layers[l].stages[s]);
      }
    }
  }
  return blocks;
}

Result<std::vector<int>> chosen_layers(const Architecture& architecture, std::vector<int> asked) {
  const auto count = static_cast<int>(architecture.layers.size());
  for (const int layer : asked) {
    if (layer < 0 || layer >= count) {
      return invalid_argument("no layer " + std::to_string(layer) + ": the model has layers 0 to " +
                              std::to_string(count - 1))
          .with_reason("NO_SUCH_LAYER")
          .with_detail("option", "--layers");
    }
  }
  if (asked.empty()) {
    asked.resize(architecture.layers.size());
    std::iota(asked.begin(), asked.end(), 0);
  }
  return asked;
}

class Analyzer {
 public:
  Analyzer(Backend& backend, const ModelFiles& model, const AnalyzeTask& task, Parallel& parallel,
           const AnalyzeProgress& progress)
      : backend_(backend),
        model_(model),
        task_(task),
        parallel_(parallel),
        progress_(progress),
        source_(*model.weights) {}

  Result<Analysis> run() {
    ROTOR_ASSIGN_OR_RETURN(result_.layers, chosen_layers(model_.architecture, task_.layers));
    ROTOR_ASSIGN_OR_RETURN(const ModelPlan plan, plan_of(model_, task_.windows, 0));
    ROTOR_ASSIGN_OR_RETURN(blocks_, plan_blocks(model_, task_.windows));
    ROTOR_RETURN_IF_ERROR(prepare(plan));
    for (int index = 0; index <= result_.layers.back(); ++index) {
      const Layer& layer = model_.architecture.layers[static_cast<size_t>(index)];
      ROTOR_ASSIGN_OR_RETURN(const LayerWeights weights, load_layer(backend_, source_, layer));
      const bool chosen = std::binary_search(result_.layers.begin(), result_.layers.end(), index);
      if (chosen && task_.time_a_layer && !result_.time) {
        ROTOR_ASSIGN_OR_RETURN(std::vector<MicroBatch> copies, copied());
        ROTOR_ASSIGN_OR_RETURN(result_.time, time_layer(backend_, *decoder_, plan, cut_,
                                                        std::move(copies), weights, index));
      }
      ROTOR_RETURN_IF_ERROR(chosen ? look_at(layer, weights) : pass(layer, weights));
      progress_(index + 1, result_.layers.back() + 1);
    }
    return std::move(result_);
  }

 private:
  Status prepare(const ModelPlan& plan) {
    const TokenWindows& windows = task_.windows;
    const ModelConfig& config = model_.architecture.config;
    cut_ = {windows.sequences(), windows.seq_len, plan.options.micro_batch_sequences,
            plan.options.lanes};
    ROTOR_ASSIGN_OR_RETURN(Decoder decoder, Decoder::create(backend_, config, windows.seq_len));
    decoder_.emplace(std::move(decoder));
    EndWeights ends;
    ROTOR_ASSIGN_OR_RETURN(ends.embedding,
                           load_tensor(backend_, source_, model_.architecture.embedding,
                                       config.vocab_size, config.hidden_size));
    ROTOR_ASSIGN_OR_RETURN(
        batches_, embed_batches(backend_, *decoder_, ends, windows, cut_, {0, cut_.batches()}));
    return {};
  }

  Result<std::vector<MicroBatch>> copied() {
    std::vector<MicroBatch> copies;
    for (const MicroBatch& batch : batches_) {
      ROTOR_ASSIGN_OR_RETURN(copies.emplace_back(), copy_of(backend_, batch));
    }
    return copies;
  }

  Status pass(const Layer& layer, const LayerWeights& weights) {
    const MemoryPlan memory;
    StageForward forward(backend_, *decoder_, layer, memory);
    for (MicroBatch& batch : batches_) {
      ROTOR_RETURN_IF_ERROR(forward.forward(weights, batch));
    }
    return {};
  }

  /// A micro-batch goes through the whole layer before the next: one carry is there at a time.
  Status look_at(const Layer& layer, const LayerWeights& weights) {
    std::vector<StageAnalyzer> stages;
    for (size_t s = 0; s < layer.stages.size(); ++s) {
      ROTOR_ASSIGN_OR_RETURN(StageAnalyzer stage,
                             StageAnalyzer::create(backend_, layer.stages[s], cut_,
                                                   blocks_[static_cast<size_t>(layer.index)][s]));
      stages.push_back(std::move(stage));
    }
    const MemoryPlan memory;
    StageForward forward(backend_, *decoder_, layer, memory);
    for (MicroBatch& batch : batches_) {
      for (size_t s = 0; s < stages.size(); ++s) {
        ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, forward.input(s, weights, batch));
        ROTOR_RETURN_IF_ERROR(stages[s].add(batch, input.rows));
        ROTOR_RETURN_IF_ERROR(forward.finish(s, weights, batch));
      }
    }
    forward.release();
    for (size_t s = 0; s < stages.size(); ++s) {
      ROTOR_ASSIGN_OR_RETURN(StageFigures figures,
                             stages[s].finish(layer.index, weights.stages[s], cut_,
                                              model_.architecture.config.dtype, parallel_));
      result_.stages.push_back(std::move(figures));
    }
    return {};
  }

  Backend& backend_;
  const ModelFiles& model_;
  const AnalyzeTask& task_;
  Parallel& parallel_;
  const AnalyzeProgress& progress_;
  StoredWeights source_;
  StageBlocks blocks_;
  BatchCut cut_;
  std::optional<Decoder> decoder_;
  std::vector<MicroBatch> batches_;
  Analysis result_;
};

}  // namespace

Result<Analysis> analyze(Backend& backend, const ModelFiles& model, const AnalyzeTask& task,
                         Parallel& parallel, const AnalyzeProgress& progress) {
  return Analyzer(backend, model, task, parallel, progress).run();
}

}  // namespace rotor::worker
