// The figures of one stage: of its input while micro-batches come by, then of its weights.
//
// Thread-safety: main thread. Memory: kSampledInputs numbers of the input, kSampledWeights of each
// linear (of experts as many of all with one name together), and one linear in F32 on the backend,
// twice. Errors: NOT_FINITE naming what is not; the backend's.
#pragma once

#include <optional>
#include <vector>

#include "model/plan.h"
#include "worker/analyze/figures.h"
#include "worker/analyze/measure.h"
#include "worker/model/layer_weights.h"
#include "worker/pipeline/input_peaks.h"
#include "worker/pipeline/micro_batches.h"

namespace rotor::worker {

/// Enough for errors that are good to a few per mille, and small beside any layer. Inputs have
/// more: few tokens are like all others.
inline constexpr int64_t kSampledWeights = int64_t{1} << 20;
inline constexpr int64_t kSampledInputs = int64_t{1} << 22;

class StageAnalyzer {
 public:
  /// `stage` must outlive it; `cut`: the micro-batches that will come. `blocks` as for
  /// measure_weights.
  static Result<StageAnalyzer> create(Backend& backend, const Stage& stage, const BatchCut& cut,
                                      const Blocks& blocks);

  /// The stage's input on a micro-batch.
  Status add(const MicroBatch& batch, const Tensor& input);

  /// Behind the last of them.
  Result<StageFigures> finish(int layer, const StageWeights& weights, const BatchCut& cut,
                              DType model_dtype, Parallel& parallel);

 private:
  StageAnalyzer(Backend& backend, const Stage& stage, const Blocks& blocks, RowSample sample,
                InputPeaks peaks)
      : backend_(&backend),
        stage_(&stage),
        blocks_(blocks),
        sample_(std::move(sample)),
        peaks_(std::move(peaks)) {}

  Result<Peaks> input_peaks(const BatchCut& cut) const;
  /// Samples the linear, and raises `peaks` to its own.
  Result<RowSample> sample_weight(const Linear& linear, const Tensor& weight, Peaks* peaks) const;

  Backend* backend_;
  const Stage* stage_;
  Blocks blocks_;
  RowSample sample_;
  InputPeaks peaks_;  // [micro-batch][rotation]
};

}  // namespace rotor::worker
