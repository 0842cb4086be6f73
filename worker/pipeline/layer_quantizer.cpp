#include "worker/pipeline/layer_quantizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/pipeline/expert_stage.h"
#include "worker/pipeline/flops.h"

namespace rotor::worker {

LayerQuantizer::LayerQuantizer(const LayerContext& context, const LayerPlan& layer,
                               const LayerWeights& original)
    : context_(context),
      layer_(layer),
      original_(original),
      forward_(context.backend, context.decoder,
               context.plan.architecture.layers[static_cast<size_t>(layer.index)], context.memory) {
}

Result<LayerWeights> LayerQuantizer::run(bool needs_output, LayerResult* result) {
  result_ = result;
  const QuantOptions& options = context_.plan.options;
  const bool original = options.propagate == Propagate::kOriginal;
  const bool by_stage = !original && options.sequential == Sequential::kStage;
  const bool twice = !original && !by_stage;
  std::vector<MicroBatch> before;
  if (twice) {
    Result<std::vector<MicroBatch>> copied = copies();
    ROTOR_RETURN_IF_ERROR(context_.comm.agree(copied.status()));
    before = std::exchange(context_.batches, std::move(copied).value());
  }
  LayerWeights weights = original_;
  const LayerWeights& mover = by_stage ? weights : original_;
  for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
    if (stage == layer_.stages.size() / 2) {
      // The device still works on what the stages before were asked for.
      ROTOR_RETURN_IF_ERROR(context_.settle());
    }
    if (needs_hessian(layer_.stages[stage])) {
      ROTOR_RETURN_IF_ERROR(solve(stage, mover, &weights));
    }
    if (stage + 1 < layer_.stages.size() || (needs_output && !twice)) {
      ROTOR_RETURN_IF_ERROR(context_.comm.agree(finish_all(stage, mover)));
    }
  }
  if (twice) {
    context_.batches = std::move(before);
    Status mine;
    for (size_t stage = 0; needs_output && stage < layer_.stages.size() && mine.ok(); ++stage) {
      mine = finish_all(stage, weights);
    }
    ROTOR_RETURN_IF_ERROR(context_.comm.agree(mine));
  }
  return weights;
}

Result<std::vector<MicroBatch>> LayerQuantizer::copies() const {
  std::vector<MicroBatch> copied;
  for (const MicroBatch& batch : context_.batches) {
    ROTOR_ASSIGN_OR_RETURN(copied.emplace_back(), copy_of(context_.backend, batch));
  }
  return copied;
}

Status LayerQuantizer::accumulate(size_t stage, const LayerWeights& mover, const MicroBatch& batch,
                                  const std::vector<Tensor>& sums) {
  Backend& backend = context_.backend;
  Tensor input;
  {
    const PhaseScope phase(result_->phases, "forward");
    ROTOR_ASSIGN_OR_RETURN(const RoutedRows all, forward_.input(stage, mover, batch));
    input = all.rows;
  }
  const int64_t place = batch.index - context_.batches.front().index;
  ROTOR_RETURN_IF_ERROR(peaks_->fold(place, input));
  Tensor rotated = input;
  if (rotates_inputs(stage)) {
    ROTOR_ASSIGN_OR_RETURN(rotated, backend.allocate(input.dtype(), input.rows(), input.cols()));
    ROTOR_RETURN_IF_ERROR(backend.rotate(input, stage_rotation(layer_.stages[stage]), rotated));
    ROTOR_RETURN_IF_ERROR(rotated_peaks_->fold(place, rotated));
  }
  const PhaseScope phase(result_->phases, "hessian", hessian_flops(input.rows(), input.cols()));
  if (sums.size() > 1) {
    // The largest input of the whole set is known behind it alone. That of the micro-batch moves
    // the rounding of the scales a little, and the power of the noise hardly.
    ROTOR_ASSIGN_OR_RETURN(const float amax, backend.max_abs(rotated));
    ROTOR_RETURN_IF_ERROR(add_input_noise(backend, context_.plan.options, rotated, amax, sums[1]));
  }
  return backend.hessian_accumulate(input, sums[0]);
}

bool LayerQuantizer::rotates_inputs(size_t stage) const {
  return context_.plan.options.activations == Activations::kA4 &&
         stage_rotation(layer_.stages[stage]) > 0;
}

Status LayerQuantizer::take_peaks(size_t stage, StageHessian* hessian) {
  ROTOR_ASSIGN_OR_RETURN(std::vector<float> peaks, peaks_->values());
  const std::string what = "the input of " + layer_.stages[stage].stage.linears.front().name;
  for (size_t i = 0; i < peaks.size(); ++i) {
    ROTOR_RETURN_IF_ERROR(expect_finite(peaks[i], context_.batches[i], what));
  }
  if (rotates_inputs(stage)) {
    ROTOR_ASSIGN_OR_RETURN(peaks, rotated_peaks_->values());
  }
  const auto largest = std::max_element(peaks.begin(), peaks.end());
  hessian->input_amax = largest == peaks.end() ? 0.0F : *largest;
  return {};
}

Result<StageHessian> LayerQuantizer::stage_hessian(size_t stage, const LayerWeights& mover) {
  Backend& backend = context_.backend;
  Communicator& comm = context_.comm;
  const BatchCut& cut = context_.cut;
  const auto prepare = [&]() -> Status {
    ROTOR_ASSIGN_OR_RETURN(peaks_, InputPeaks::create(backend, std::ssize(context_.batches)));
    ROTOR_ASSIGN_OR_RETURN(rotated_peaks_,
                           InputPeaks::create(backend, std::ssize(context_.batches)));
    return {};
  };
  ROTOR_RETURN_IF_ERROR(comm.agree(prepare()));
  const int64_t first = cut.of_rank(comm.size(), comm.rank()).begin;
  const auto add_lane = [&](int64_t lane, const std::vector<Tensor>& sums) -> Status {
    const Range batches = cut.lane(lane);
    for (int64_t i = batches.begin; i < batches.end; ++i) {
      ROTOR_RETURN_IF_ERROR(
          accumulate(stage, mover, context_.batches[static_cast<size_t>(i - first)], sums));
    }
    return {};
  };
  StageHessian hessian;
  // Spread over ranks, so that a layer's factorizations do not all wait for the first one.
  hessian.root = static_cast<int>(stage) % comm.size();
  hessian.width = layer_.stages[stage].stage.in_features;
  hessian.tokens = cut.tokens();
  std::vector<HessianSum> wanted{{.width = hessian.width}};
  if (fits_noisy_inputs(context_.plan.options, layer_.stages[stage])) {
    wanted.push_back({.width = hessian.width, .is_row = true});
  }
  ROTOR_ASSIGN_OR_RETURN(
      const std::vector<Tensor> sums,
      sum_lanes(
          backend, comm, cut.lanes, wanted, [&](int64_t lane) { return cut.lane(lane).size() > 0; },
          add_lane, result_->phases));
  hessian.sum = sums[0];
  hessian.noise = sums.size() > 1 ? sums[1] : Tensor();
  ROTOR_RETURN_IF_ERROR(comm.agree(take_peaks(stage, &hessian)));
  std::vector<float> largest{hessian.input_amax};
  ROTOR_RETURN_IF_ERROR(comm.all_reduce_max(&largest));
  hessian.input_amax = largest[0];
  return hessian;
}

Result<SolvedStage> LayerQuantizer::solve_dense(size_t stage, const LayerWeights& mover) {
  ROTOR_ASSIGN_OR_RETURN(const StageHessian hessian, stage_hessian(stage, mover));
  const StagePlan& plan = layer_.stages[stage];
  forward_.release();
  ROTOR_ASSIGN_OR_RETURN(SolvedStage solved,
                         solve_stage(context_.backend, context_.comm, context_.plan.options, plan,
                                     original_.stages[stage], hessian, result_->phases));
  const auto upload = [&]() -> Status {
    const PhaseScope phase(result_->phases, "upload");
    for (size_t i = 0; i < solved.matrices.size(); ++i) {
      if (solved.matrices[i].has_value()) {  // it is this rank's to upload
        ROTOR_RETURN_IF_ERROR(put_module(context_, layer_.index, plan.modules[i].linear.name,
                                         std::move(*solved.matrices[i])));
      }
    }
    return {};
  };
  ROTOR_RETURN_IF_ERROR(context_.comm.agree(upload()));
  return solved;
}

Status LayerQuantizer::solve(size_t stage, const LayerWeights& mover, LayerWeights* weights) {
  Communicator& comm = context_.comm;
  ROTOR_RETURN_IF_ERROR(comm.agree(comm.rank() == 0 ? context_.sink.check(false) : Status()));
  const StagePlan& plan = layer_.stages[stage];
  Result<SolvedStage> solved =
      plan.stage.has_experts()
          ? solve_experts(context_, layer_.index, plan, original_.stages[stage],
                          {forward_, stage, mover}, result_->phases)
          : solve_dense(stage, mover);
  ROTOR_RETURN_IF_ERROR(solved.status());
  Status mine;
  if (comm.rank() == 0) {
    mine = context_.sink.stage_done(layer_.index, static_cast<int>(stage),
                                    static_cast<int>(layer_.stages.size()), solved->results);
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  weights->stages[stage] = std::move(solved->weights);
  std::move(solved->results.begin(), solved->results.end(), std::back_inserter(result_->modules));
  return {};
}

Status LayerQuantizer::finish(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  const Stage& shape = layer_.stages[stage].stage;
  const PhaseScope phase(result_->phases, "forward", stage_flops(shape, batch.shape));
  return forward_.finish(stage, weights, batch);
}

Status LayerQuantizer::finish_all(size_t stage, const LayerWeights& weights) {
  for (MicroBatch& batch : context_.batches) {
    ROTOR_RETURN_IF_ERROR(finish(stage, weights, batch));
  }
  return {};
}

}  // namespace rotor::worker
