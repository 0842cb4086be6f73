// Quantizes one decoder layer: the stages of design.md section 4 over this rank's micro-batches.
//
// Three ways to run it, all with the same solver:
//   sequential stage   each stage's Hessian sees the quantized stages before it, and the
//   activations
//                      move on through each stage as soon as it is solved;
//   sequential block   all Hessians from one pass of the original weights over copies, then the
//                      activations move through the quantized block (as the paper's code does);
//   propagate original all Hessians from one pass of the original weights, which also moves the
//                      activations.
// Collective. Thread-safety: main thread.
// Errors: those of solve_stage and of the sink; NOT_FINITE naming layer, module and sequence.
#pragma once

#include <vector>

#include "model/plan.h"
#include "quant/checkpoint/layout.h"
#include "worker/pipeline/layer_sink.h"
#include "worker/pipeline/micro_batches.h"
#include "worker/pipeline/stage_forward.h"
#include "worker/pipeline/stage_solver.h"

namespace rotor::worker {

/// What all layers of a shard share.
struct LayerContext {
  Backend& backend;
  Communicator& comm;
  Decoder& decoder;
  const ModelPlan& plan;
  const CheckpointLayout& layout;
  LayerSink& sink;
  const BatchCut& cut;               // of the calibration set
  std::vector<MicroBatch>& batches;  // this rank's
  const MemoryPlan& memory;
};

class LayerQuantizer {
 public:
  LayerQuantizer(const LayerContext& context, const LayerPlan& layer, const LayerWeights& original);

  /// Solves every stage and hands its tensors to the sink, without committing. `needs_output`:
  /// whether the activations have to leave the layer. Returns the weights to go on with: the
  /// quantized ones, whatever the way.
  Result<LayerWeights> run(bool needs_output, LayerResult* result);

 private:
  Result<LayerWeights> run_by_stage(bool needs_output);
  Result<LayerWeights> run_by_block(bool needs_output);

  Result<StageHessian> stage_hessian(size_t stage, const LayerWeights& weights);
  Result<std::vector<StageHessian>> block_hessians(bool move);
  Status accumulate(size_t stage, const MicroBatch& batch, const Tensor& input,
                    const Tensor& hessian);
  Status agree_on_inputs(std::vector<StageHessian>* hessians, const std::vector<size_t>& stages);
  bool rotates_inputs(size_t stage) const;
  Result<float> largest_input(size_t stage);
  Status solve(size_t stage, const StageHessian& hessian, LayerWeights* weights);
  Status upload(size_t stage, SolvedStage& solved);
  Status finish(size_t stage, const LayerWeights& weights, MicroBatch& batch);
  Status finish_all(size_t stage, const LayerWeights& weights);

  LayerContext context_;
  const LayerPlan& layer_;
  const LayerWeights& original_;
  StageForward forward_;
  LayerResult* result_ = nullptr;
  /// By stage: F32 [2 * micro-batches of this rank, 1], the largest |input| of each, and behind
  /// them the largest |rotated input| where activations are quantized. Looked at once a stage, so
  /// that no micro-batch waits for the device.
  std::vector<Tensor> peaks_;
};

/// Floating-point operations of a stage's linears, and of the attention behind qkv, on `tokens`
/// tokens.
double stage_flops(const Stage& stage, const BatchShape& shape);

}  // namespace rotor::worker
