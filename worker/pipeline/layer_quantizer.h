// Quantizes one decoder layer: the stages of design.md section 4 over this rank's micro-batches.
//
// Three ways to run it, all with the same solver:
//   sequential stage   each stage's Hessian sees the quantized stages before it, and the
//                      activations move on through each stage as soon as it is solved;
//   sequential block   all Hessians from a pass of the original weights over copies, then the
//                      activations move through the quantized block (as the paper's code does);
//   propagate original all Hessians from a pass of the original weights, which also moves the
//                      activations.
// Collective. Thread-safety: main thread.
// Memory: one stage's Hessians at a time; the carry of a stage for every micro-batch; sequential
// block has the residual stream twice.
// Errors: those of solve_stage and of the sink; NOT_FINITE naming layer, module and sequence.
#pragma once

#include <optional>
#include <vector>

#include "worker/pipeline/input_peaks.h"
#include "worker/pipeline/layer_context.h"
#include "worker/pipeline/stage_forward.h"
#include "worker/pipeline/stage_solver.h"

namespace rotor::worker {

class LayerQuantizer {
 public:
  LayerQuantizer(const LayerContext& context, const LayerPlan& layer, const LayerWeights& original);

  /// Solves every stage and hands its tensors to the sink, without committing. `needs_output`:
  /// whether the activations have to leave the layer. Returns the weights to go on with: the
  /// quantized ones, whatever the way.
  Result<LayerWeights> run(bool needs_output, LayerResult* result);

 private:
  Result<StageHessian> stage_hessian(size_t stage, const LayerWeights& mover);
  Status accumulate(size_t stage, const LayerWeights& mover, const MicroBatch& batch,
                    const std::vector<Tensor>& sums);
  Status take_peaks(size_t stage, StageHessian* hessian);
  bool rotates_inputs(size_t stage) const;
  Result<SolvedStage> solve_dense(size_t stage, const LayerWeights& mover);
  /// `mover`: the weights that activations come through.
  Status solve(size_t stage, const LayerWeights& mover, LayerWeights* weights);
  Result<std::vector<MicroBatch>> copies() const;
  Status finish(size_t stage, const LayerWeights& weights, MicroBatch& batch);
  Status finish_all(size_t stage, const LayerWeights& weights);

  LayerContext context_;
  const LayerPlan& layer_;
  const LayerWeights& original_;
  StageForward forward_;
  LayerResult* result_ = nullptr;
  /// By micro-batch of this rank, of one stage: the largest |input|, and the largest |rotated
  /// input| where rotated activations are quantized.
  std::optional<InputPeaks> peaks_;
  std::optional<InputPeaks> rotated_peaks_;
};

}  // namespace rotor::worker
