// Solves one stage on all ranks of a group: from the stage's weights and its Hessian to codes,
// scales, error measures, and the dequantized weights that the forward pass goes on with.
//
// Ranks share out the rows of each weight in whole row tiles; one rank factorizes, or all together
// (Backend::factorize). Collective.
// Thread-safety: main thread. Memory: the stage's weights once more in F32 (this rank's rows three
// times), two [K, K] F32 matrices.
// Errors: INVALID_ARGUMENT (reason NOT_FINITE) naming the module whose weights or Hessian are not
// finite; backend and communicator errors. Falling back is no error: it is in the results.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "model/plan.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/model/layer_weights.h"
#include "worker/pipeline/pending_matrix.h"
#include "worker/pipeline/results.h"

namespace rotor::worker {

struct StageHessian {
  Tensor sum;  // on every rank: undivided, lower triangle; solve_stage() finishes it in place
  /// With quantized activations, on every rank: sums over all tokens of the squared error that
  /// quantization leaves in each rotated input, F32 [1, width]; else empty.
  Tensor noise;
  int root = 0;  // that factorizes where one rank does
  int64_t tokens = 0;
  int64_t width = 0;
  float input_amax = 0.0F;  // largest |rotated input| over the calibration set; a4 NVFP4 alone
};

struct SolvedStage {
  StageWeights weights;  // quantized linears dequantized, with their input transforms
  std::vector<ModuleResult> results;
  /// By module of the stage plan, on the rank that uploads it (uploader()) alone; empty where it is
  /// not quantized.
  std::vector<std::optional<PendingMatrix>> matrices;
};

/// Whether a stage has anything to quantize, and with it a Hessian to take.
bool needs_hessian(const StagePlan& plan);
/// The rotation of the stage's quantized linears (they share one); 0: none.
int stage_rotation(const StagePlan& plan);
/// Whether the stage is solved for inputs that carry the noise of their quantization.
bool fits_noisy_inputs(const QuantOptions& options, const StagePlan& plan);
/// Adds the noise that quantizing `rotated` [T, K] makes to noise [1, K]; `input_amax` is the
/// largest magnitude that its static scale is made for. Where that is not finite nothing is added:
/// whoever checks the inputs will say so by name.
Status add_input_noise(Backend& backend, const QuantOptions& options, const Tensor& rotated,
                       float input_amax, const Tensor& noise);
/// The static scale of inputs of which the largest magnitude is `input_amax`; 0 where there is
/// none.
float stage_input_scale(const QuantOptions& options, float input_amax);
/// What a quantized linear of the stage does to its input.
InputTransform input_transform(const QuantOptions& options, const ModulePlan& module,
                               float input_global_scale);

Result<SolvedStage> solve_stage(Backend& backend, Communicator& comm, const QuantOptions& options,
                                const StagePlan& plan, const StageWeights& original,
                                const StageHessian& hessian, PhaseTimes& times);

/// The quantized modules of a stage by index, those in one list solved at the same time: they have
/// a factor in common.
std::vector<std::vector<size_t>> solved_together(const StagePlan& plan, int ranks);

/// The rank that uploads a module of a stage: other ranks for a stage's modules, and for stages
/// whose Hessians have other roots.
int uploader(int root, size_t module, int ranks);

}  // namespace rotor::worker
