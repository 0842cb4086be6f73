// What the experts of a stage see, before any of them is solved: how many tokens, how large their
// inputs are, and that these are finite.
//
// Collective. Thread-safety: main thread. Cost: the stage's input once, of each micro-batch.
// Errors: the backend's; NOT_FINITE naming the stage and the sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/pipeline/layer_context.h"
#include "worker/pipeline/phase_timer.h"
#include "worker/pipeline/stage_forward.h"

namespace rotor::worker {

/// Where a stage's input comes from: the stages before it, with these weights.
struct StageInputs {
  StageForward& forward;
  size_t stage;
  const LayerWeights& weights;
};

/// By expert, the same on every rank.
struct ExpertSurvey {
  std::vector<int64_t> tokens;
  std::vector<bool> starved;
  /// Largest magnitudes, rotated as the linears see them; 0 where the plan has no static input
  /// scales. Starved experts have their peers'.
  std::vector<float> input_amax;
};

Result<ExpertSurvey> survey_experts(const LayerContext& context, const StagePlan& plan,
                                    const StageInputs& inputs, PhaseTimes& times);

/// Rows that all experts of a stage see together.
int64_t routed_tokens(const LayerContext& context, const Stage& stage);

/// Rows of an expert as its linears multiply with them; `rows` itself where there is no rotation.
Result<Tensor> rotated_rows(Backend& backend, const StagePlan& plan, const Tensor& rows);

}  // namespace rotor::worker
