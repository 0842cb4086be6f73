// Runs one shard of a job on a group: brings the activations to its first layer, then quantizes and
// commits layer after layer.
//
// Memory: one layer's weights (original and dequantized), its Hessians, and the activations; never
// the model. Collective. Thread-safety: main thread.
// Errors: the sink's ABORTED and CANCELLED when the lease or the process ends; INVALID_ARGUMENT for
// data that cannot be quantized; backend, file and communicator errors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/calibration/token_windows.h"
#include "model/model_files.h"
#include "model/plan.h"
#include "worker/comm/communicator.h"
#include "worker/eval/evaluate.h"
#include "worker/model/merged_source.h"
#include "worker/pipeline/collective_source.h"
#include "worker/pipeline/layer_quantizer.h"
#include "worker/pipeline/layer_sink.h"

namespace rotor::worker {

struct ShardTask {
  int first_layer = 0;
  int end_layer = 0;
  std::vector<int> committed;  // of the whole job, ascending
  TokenWindows calibration;
  /// Windows to measure the quantized model on once its last layer is done; needs
  /// Propagate::kQuantized and end_layer to be the model's end.
  std::optional<TokenWindows> evaluation;
};

class ShardRunner {
 public:
  ShardRunner(Backend& backend, Communicator& comm, const ModelFiles& model, const ModelPlan& plan,
              LayerSink& sink, ShardTask task);

  /// Returns the evaluation, if one was asked for.
  Result<std::optional<EvalResult>> run();

 private:
  Status prepare();
  void plan_rank_memory();
  Status pass_layer(const LayerPlan& layer, bool committed);
  Status quantize_layer(const LayerPlan& layer);
  /// Commits the layer that is finished and not committed, if there is one.
  Status settle();
  Result<LayerWeights> committed_weights(const LayerPlan& layer);
  Result<MemorySource> fetch(const LayerPlan& layer);
  Status forward(const LayerPlan& layer, const LayerWeights& weights,
                 std::vector<MicroBatch>& batches);
  Result<EvalResult> evaluate();
  void read_ahead(int layer);
  bool is_committed(int layer) const;
  bool needs_output(int layer) const;
  /// The first that is to be quantized at or behind `layer`; the end where none is.
  int next_open_layer(int layer) const;

  Backend& backend_;
  Communicator& comm_;
  const ModelFiles& model_;
  const ModelPlan& plan_;
  const CheckpointLayout* layout_ = nullptr;
  LayerSink& sink_;
  ShardTask task_;
  CollectiveSource stored_;
  MergedSource source_;  // on top of stored_
  std::optional<Decoder> decoder_;
  MemoryPlan memory_;
  BatchCut cut_;
  BatchCut evaluation_cut_;
  std::vector<MicroBatch> batches_;
  std::vector<MicroBatch> evaluation_batches_;
  /// Finished, on its way to the coordinator: its commit waits until the next layer is half done,
  /// so that the device need not wait for the network and the disk.
  std::optional<LayerResult> uncommitted_;
  PhaseTimes load_times_;  // since the last commit, outside quantize_layer
};

}  // namespace rotor::worker
