// Solves a stage of experts: each has a Hessian of its own, over the tokens routed to it.
//
// What is done by whom follows from the plan: experts are worked on in waves whose Hessians fit a
// fixed budget of memory, ranks have equal runs of a wave's experts, and each solves its own whole,
// many at the same time (Backend::for_each); their weights are then gathered. Nothing hangs on
// where tokens went, so the bytes are the same for any number of ranks, and a step takes the same
// collectives everywhere.
//
// An expert that saw too few tokens is rounded to nearest with mse scales, its input scale is the
// largest of its peers', and its results say so (faults.md, row 28). Where it saw none, its errors
// are those of the weights alone (the identity stands in for the Hessian).
//
// Rejected: rows of each expert shared out over ranks, as dense stages do: an expert has few rows,
// and every rank would need every factor.
//
// Collective. Thread-safety: main thread; the solves run on threads of the backend.
// Memory: that budget (worker/pipeline/waves.h), the stage's weights once more, and on the host
// the packed tensors of this rank's experts of a wave.
// Errors: those of solve_stage and of the sink; NOT_FINITE naming the stage and the sequence.
#pragma once

#include "worker/pipeline/expert_survey.h"
#include "worker/pipeline/layer_context.h"
#include "worker/pipeline/stage_solver.h"

namespace rotor::worker {

/// All of the stage's experts, on the micro-batches that `context` gives. Uploads what it solves.
Result<SolvedStage> solve_experts(const LayerContext& context, int layer, const StagePlan& plan,
                                  const StageWeights& original, const StageInputs& inputs,
                                  PhaseTimes& times);

}  // namespace rotor::worker
