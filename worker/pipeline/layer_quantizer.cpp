#include "worker/pipeline/layer_quantizer.h"

#include <algorithm>
#include <string>
#include <utility>

namespace rotor::worker {
namespace {

/// Multiply-adds of the lower triangle of x^T x, two operations each.
double hessian_flops(int64_t tokens, int64_t width) {
  return static_cast<double>(tokens) * static_cast<double>(width) * static_cast<double>(width + 1);
}

}  // namespace

double stage_flops(const Stage& stage, const BatchShape& shape) {
  const auto tokens = static_cast<double>(shape.tokens());
  double flops = 0.0;
  for (const Linear& linear : stage.linears) {
    flops += 2.0 * tokens * static_cast<double>(linear.in_features) *
             static_cast<double>(linear.out_features);
  }
  if (stage.kind == StageKind::kAttentionIn) {
    // Scores and their product with V, over the causal half.
    flops += 2.0 * tokens * static_cast<double>(shape.seq_len + 1) *
             static_cast<double>(stage.attention.query_features());
  }
  return flops;
}

LayerQuantizer::LayerQuantizer(const LayerContext& context, const LayerPlan& layer,
                               const LayerWeights& original)
    : context_(context),
      layer_(layer),
      original_(original),
      forward_(context.backend, context.decoder,
               context.plan.architecture.layers[static_cast<size_t>(layer.index)], context.memory),
      peaks_(layer.stages.size()) {}

Result<LayerWeights> LayerQuantizer::run(bool needs_output, LayerResult* result) {
  result_ = result;
  const QuantOptions& options = context_.plan.options;
  const bool by_stage =
      options.sequential == Sequential::kStage && options.propagate == Propagate::kQuantized;
  return by_stage ? run_by_stage(needs_output) : run_by_block(needs_output);
}

Result<LayerWeights> LayerQuantizer::run_by_stage(bool needs_output) {
  LayerWeights weights = original_;
  for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
    if (needs_hessian(layer_.stages[stage])) {
      ROTOR_ASSIGN_OR_RETURN(const StageHessian hessian, stage_hessian(stage, weights));
      ROTOR_RETURN_IF_ERROR(solve(stage, hessian, &weights));
    }
    if (needs_output || stage + 1 < layer_.stages.size()) {
      ROTOR_RETURN_IF_ERROR(context_.comm.agree(finish_all(stage, weights)));
    }
  }
  return weights;
}

Result<LayerWeights> LayerQuantizer::run_by_block(bool needs_output) {
  const bool move = context_.plan.options.propagate == Propagate::kOriginal;
  ROTOR_ASSIGN_OR_RETURN(const std::vector<StageHessian> hessians, block_hessians(move));
  LayerWeights weights = original_;
  for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
    if (needs_hessian(layer_.stages[stage])) {
      ROTOR_RETURN_IF_ERROR(solve(stage, hessians[stage], &weights));
    }
  }
  if (needs_output && !move) {
    Status mine;
    for (size_t stage = 0; stage < layer_.stages.size() && mine.ok(); ++stage) {
      mine = finish_all(stage, weights);
    }
    ROTOR_RETURN_IF_ERROR(context_.comm.agree(mine));
  }
  return weights;
}

Status LayerQuantizer::accumulate(size_t stage, const MicroBatch& batch, const Tensor& input,
                                  const Tensor& hessian) {
  Backend& backend = context_.backend;
  const auto count = static_cast<int64_t>(context_.batches.size());
  Tensor& peaks = peaks_[stage];
  if (peaks.empty()) {
    ROTOR_ASSIGN_OR_RETURN(peaks, backend.allocate(DType::kF32, 2 * count, 1));
    const std::vector<float> zeros(static_cast<size_t>(2 * count), 0.0F);
    ROTOR_RETURN_IF_ERROR(backend.upload(zeros.data(), peaks.bytes(), peaks));
  }
  const int64_t place = batch.index - context_.batches.front().index;
  ROTOR_RETURN_IF_ERROR(backend.fold_max_abs(input, peaks.row_range(place, 1)));
  if (rotates_inputs(stage)) {
    ROTOR_ASSIGN_OR_RETURN(Tensor rotated,
                           backend.allocate(input.dtype(), input.rows(), input.cols()));
    ROTOR_RETURN_IF_ERROR(backend.rotate(input, stage_rotation(layer_.stages[stage]), rotated));
    ROTOR_RETURN_IF_ERROR(backend.fold_max_abs(rotated, peaks.row_range(count + place, 1)));
  }
  const PhaseScope phase(result_->phases, "hessian", hessian_flops(input.rows(), input.cols()));
  return backend.hessian_accumulate(input, hessian);
}

bool LayerQuantizer::rotates_inputs(size_t stage) const {
  return context_.plan.options.activations == Activations::kA4 &&
         stage_rotation(layer_.stages[stage]) > 0;
}

Result<float> LayerQuantizer::largest_input(size_t stage) {
  const size_t count = context_.batches.size();
  if (count == 0) {
    return 0.0F;
  }
  std::vector<float> peaks(2 * count);
  ROTOR_RETURN_IF_ERROR(
      context_.backend.download(peaks_[stage], peaks.data(), peaks_[stage].bytes()));
  const std::string what = "the input of " + layer_.stages[stage].stage.linears.front().name;
  for (size_t i = 0; i < count; ++i) {
    ROTOR_RETURN_IF_ERROR(expect_finite(peaks[i], context_.batches[i], what));
  }
  const auto begin = peaks.begin() + (rotates_inputs(stage) ? static_cast<ptrdiff_t>(count) : 0);
  return *std::max_element(begin, begin + static_cast<ptrdiff_t>(count));
}

Result<StageHessian> LayerQuantizer::stage_hessian(size_t stage, const LayerWeights& weights) {
  const StagePlan& plan = layer_.stages[stage];
  const BatchCut& cut = context_.cut;
  const int64_t first = cut.of_rank(context_.comm.size(), context_.comm.rank()).begin;
  const auto add_lane = [&](int64_t lane, const std::vector<Tensor>& hessians) -> Status {
    const Range batches = cut.lane(lane);
    for (int64_t i = batches.begin; i < batches.end; ++i) {
      const MicroBatch& batch = context_.batches[static_cast<size_t>(i - first)];
      Tensor input;
      {
        const PhaseScope phase(result_->phases, "forward");
        ROTOR_ASSIGN_OR_RETURN(input, forward_.input(stage, weights, batch));
      }
      ROTOR_RETURN_IF_ERROR(accumulate(stage, batch, input, hessians[0]));
    }
    return {};
  };
  std::vector<StageHessian> hessian(1);
  // Spread over ranks, so that a layer's factorizations do not all wait for the first one.
  hessian[0].root = static_cast<int>(stage) % context_.comm.size();
  hessian[0].width = plan.stage.in_features;
  hessian[0].tokens = cut.tokens();
  ROTOR_ASSIGN_OR_RETURN(
      const std::vector<Tensor> sums,
      sum_lanes(
          context_.backend, context_.comm, cut.lanes, {hessian[0].width},
          [&](int64_t lane) { return cut.lane(lane).size() > 0; }, add_lane, result_->phases));
  hessian[0].sum = sums[0];
  ROTOR_RETURN_IF_ERROR(agree_on_inputs(&hessian, {stage}));
  return hessian[0];
}

Result<std::vector<StageHessian>> LayerQuantizer::block_hessians(bool move) {
  const BatchCut& cut = context_.cut;
  std::vector<StageHessian> hessians(layer_.stages.size());
  std::vector<size_t> stages;  // those that take a Hessian
  std::vector<int64_t> widths;
  for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
    hessians[stage].root = static_cast<int>(stage) % context_.comm.size();
    hessians[stage].width = layer_.stages[stage].stage.in_features;
    hessians[stage].tokens = cut.tokens();
    if (needs_hessian(layer_.stages[stage])) {
      stages.push_back(stage);
      widths.push_back(hessians[stage].width);
    }
  }
  const int64_t first = cut.of_rank(context_.comm.size(), context_.comm.rank()).begin;
  const auto add_batch = [&](MicroBatch& batch, const std::vector<Tensor>& sums) -> Status {
    size_t next = 0;
    for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
      if (next < stages.size() && stages[next] == stage) {
        ROTOR_ASSIGN_OR_RETURN(const Tensor input, forward_.input(stage, original_, batch));
        ROTOR_RETURN_IF_ERROR(accumulate(stage, batch, input, sums[next++]));
      }
      ROTOR_RETURN_IF_ERROR(finish(stage, original_, batch));
    }
    return {};
  };
  const auto add_lane = [&](int64_t lane, const std::vector<Tensor>& sums) -> Status {
    const Range batches = cut.lane(lane);
    for (int64_t i = batches.begin; i < batches.end; ++i) {
      MicroBatch& batch = context_.batches[static_cast<size_t>(i - first)];
      if (move) {
        ROTOR_RETURN_IF_ERROR(add_batch(batch, sums));
        continue;
      }
      ROTOR_ASSIGN_OR_RETURN(MicroBatch copy, device_copy(context_.backend, batch));
      ROTOR_RETURN_IF_ERROR(add_batch(copy, sums));
    }
    return {};
  };
  ROTOR_ASSIGN_OR_RETURN(
      const std::vector<Tensor> sums,
      sum_lanes(
          context_.backend, context_.comm, cut.lanes, widths,
          [&](int64_t lane) { return cut.lane(lane).size() > 0; }, add_lane, result_->phases));
  for (size_t i = 0; i < stages.size(); ++i) {
    hessians[stages[i]].sum = sums[i];
  }
  ROTOR_RETURN_IF_ERROR(agree_on_inputs(&hessians, stages));
  return hessians;
}

Status LayerQuantizer::agree_on_inputs(std::vector<StageHessian>* hessians,
                                       const std::vector<size_t>& stages) {
  std::vector<float> largest;
  Status mine;
  for (const size_t stage : stages) {
    Result<float> found = largest_input(stage);
    if (!found.ok()) {
      mine = found.status();
      break;
    }
    largest.push_back(*found);
  }
  ROTOR_RETURN_IF_ERROR(context_.comm.agree(mine));
  ROTOR_RETURN_IF_ERROR(context_.comm.all_reduce_max(&largest));
  for (size_t i = 0; i < stages.size(); ++i) {
    (*hessians)[hessians->size() == 1 ? 0 : stages[i]].input_amax = largest[i];
  }
  return {};
}

Status LayerQuantizer::solve(size_t stage, const StageHessian& hessian, LayerWeights* weights) {
  Communicator& comm = context_.comm;
  ROTOR_RETURN_IF_ERROR(comm.agree(comm.rank() == 0 ? context_.sink.check(false) : Status()));
  forward_.release();
  ROTOR_ASSIGN_OR_RETURN(
      SolvedStage solved,
      solve_stage(context_.backend, comm, context_.plan.options, layer_.stages[stage],
                  original_.stages[stage], hessian, result_->phases));
  Status mine = upload(stage, solved);
  if (mine.ok() && comm.rank() == 0) {
    mine = context_.sink.stage_done(layer_.index, static_cast<int>(stage),
                                    static_cast<int>(layer_.stages.size()), solved.results);
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  weights->stages[stage] = std::move(solved.weights);
  std::move(solved.results.begin(), solved.results.end(), std::back_inserter(result_->modules));
  return {};
}

Status LayerQuantizer::upload(size_t stage, SolvedStage& solved) {
  const PhaseScope phase(result_->phases, "upload");
  for (size_t i = 0; i < solved.matrices.size(); ++i) {
    if (!solved.matrices[i].has_value()) {
      continue;  // not quantized, or another rank's to upload
    }
    ROTOR_ASSIGN_OR_RETURN(
        std::vector<StoredTensor> tensors,
        context_.layout.encode(layer_.stages[stage].modules[i].linear.name,
                               context_.plan.options.activations, std::move(*solved.matrices[i])));
    ROTOR_RETURN_IF_ERROR(context_.sink.put(layer_.index, std::move(tensors)));
  }
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
