#include "worker/pipeline/expert_stage.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>

#include "worker/comm/solo_communicator.h"
#include "worker/pipeline/expert_survey.h"
#include "worker/pipeline/flops.h"
#include "worker/pipeline/result_text.h"
#include "worker/pipeline/starved_experts.h"
#include "worker/pipeline/waves.h"

namespace rotor::worker {
namespace {

class ExpertStage {
 public:
  ExpertStage(const LayerContext& context, int layer, const StagePlan& plan,
              const StageWeights& original, const StageInputs& inputs, PhaseTimes& times)
      : context_(context),
        layer_(layer),
        plan_(plan),
        stage_(plan.stage),
        original_(original),
        inputs_(inputs),
        times_(times),
        experts_(plan.stage.routing.experts),
        linears_(plan.stage.linears_per_input()) {}

  Result<SolvedStage> run() {
    ROTOR_ASSIGN_OR_RETURN(seen_, survey_experts(context_, plan_, inputs_, times_));
    SolvedStage solved;
    solved.weights = original_;
    const int64_t width = stage_.in_features;
    for (const Wave& wave : cut_waves(experts_, width, context_.cut.lanes)) {
      Communicator& comm = context_.comm;
      ROTOR_RETURN_IF_ERROR(comm.agree(comm.rank() == 0 ? context_.sink.check(false) : Status()));
      ROTOR_RETURN_IF_ERROR(solve_wave(wave, &solved));
    }
    return solved;
  }

 private:
  Result<RoutedRows> input_of(const MicroBatch& batch) {
    return inputs_.forward.input(inputs_.stage, inputs_.weights, batch);
  }

  /// Those with a linear to quantize.
  bool is_quantized(int64_t expert) const {
    const auto begin = plan_.modules.begin() + expert * linears_;
    return std::any_of(begin, begin + linears_,
                       [](const ModulePlan& module) { return module.quantized; });
  }

  Status solve_wave(const Wave& wave, SolvedStage* solved) {
    ROTOR_ASSIGN_OR_RETURN(const WaveSums sums, sum_wave(wave));
    inputs_.forward.release();
    Communicator& comm = context_.comm;
    const Range mine = share(wave.size(), comm.size(), comm.rank());
    std::vector<Tensor> weights;  // by linear of an expert, the wave's one below the other
    std::vector<SolvedStage> parts(static_cast<size_t>(mine.size()));
    Status status = allocate_weights(wave, &weights);
    if (status.ok()) {
      status = solve_mine(wave, mine, sums, weights, &parts);
    }
    std::vector<ModuleResult> results;
    for (size_t i = 0; i < parts.size() && status.ok(); ++i) {
      status = upload(wave.begin + mine.begin + static_cast<int64_t>(i), parts[i]);
      std::move(parts[i].results.begin(), parts[i].results.end(), std::back_inserter(results));
    }
    ROTOR_RETURN_IF_ERROR(comm.agree(status));

    const PhaseScope phase(times_, "gather");
    for (const Tensor& of_linear : weights) {
      std::vector<int64_t> begin;
      for (int rank = 0; rank <= comm.size(); ++rank) {
        begin.push_back(share(wave.size(), comm.size(), rank).begin * of_linear.rows() /
                        wave.size());
      }
      ROTOR_RETURN_IF_ERROR(comm.all_gather_rows(of_linear, begin));
    }
    take_weights(wave, weights, solved);
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                           comm.all_gather(serialize_results(results)));
    for (const std::string& text : texts) {
      results = parse_results(text);
      std::move(results.begin(), results.end(), std::back_inserter(solved->results));
    }
    return {};
  }

  /// By expert of a wave, on the rank that solves it: StageHessian::sum and StageHessian::noise.
  struct WaveSums {
    std::vector<Tensor> hessians;
    std::vector<Tensor> noise;  // empty where there is none
  };

  Result<WaveSums> sum_wave(const Wave& wave) {
    const BatchCut& cut = context_.cut;
    const int64_t first = cut.of_rank(context_.comm.size(), context_.comm.rank()).begin;
    const auto add_lane = [&](int64_t lane, const std::vector<Tensor>& sums) -> Status {
      const Range batches = cut.lane(lane);
      for (int64_t i = batches.begin; i < batches.end; ++i) {
        ROTOR_RETURN_IF_ERROR(
            accumulate(wave, context_.batches[static_cast<size_t>(i - first)], sums));
      }
      return {};
    };
    // Each expert is solved by one rank, which alone needs its Hessian.
    std::vector<HessianSum> sums;
    for (int rank = 0; rank < context_.comm.size(); ++rank) {
      const Range theirs = share(wave.size(), context_.comm.size(), rank);
      sums.insert(sums.end(), static_cast<size_t>(theirs.size()), {stage_.in_features, rank});
    }
    if (fits_noisy_inputs(context_.plan.options, plan_)) {
      const std::vector<HessianSum> hessians = sums;
      for (const HessianSum& of : hessians) {
        sums.push_back({of.width, of.owner, /*is_row=*/true});
      }
    }
    ROTOR_ASSIGN_OR_RETURN(
        std::vector<Tensor> all,
        sum_lanes(
            context_.backend, context_.comm, cut.lanes, sums,
            [&](int64_t lane) { return cut.lane(lane).size() > 0; }, add_lane, times_));
    const auto noise = all.begin() + wave.size();
    return WaveSums{{all.begin(), noise}, {noise, all.end()}};
  }

  /// `sums`: the Hessians of the wave and behind them, where there is noise, its rows.
  Status accumulate(const Wave& wave, const MicroBatch& batch, const std::vector<Tensor>& sums) {
    RoutedRows input;
    {
      const PhaseScope phase(times_, "forward");
      ROTOR_ASSIGN_OR_RETURN(input, input_of(batch));
    }
    for (int64_t expert = wave.begin; expert < wave.end; ++expert) {
      const int64_t count = input.routing.rows(expert);
      if (count == 0) {
        continue;
      }
      const PhaseScope phase(times_, "hessian", hessian_flops(count, stage_.in_features));
      ROTOR_ASSIGN_OR_RETURN(const Tensor rows,
                             context_.decoder.expert_input(stage_, input, expert));
      const auto at = static_cast<size_t>(expert - wave.begin);
      ROTOR_RETURN_IF_ERROR(context_.backend.hessian_accumulate(rows, sums[at]));
      const size_t noise = static_cast<size_t>(wave.size()) + at;
      if (noise < sums.size()) {
        ROTOR_ASSIGN_OR_RETURN(const Tensor seen, rotated_rows(context_.backend, plan_, rows));
        ROTOR_RETURN_IF_ERROR(add_input_noise(context_.backend, context_.plan.options, seen,
                                              seen_.input_amax[static_cast<size_t>(expert)],
                                              sums[noise]));
      }
    }
    return {};
  }

  /// [experts of the wave * N, K] for each linear of an expert; all experts have the same shapes.
  Status allocate_weights(const Wave& wave, std::vector<Tensor>* weights) {
    Backend& backend = context_.backend;
    for (size_t i = 0; i < static_cast<size_t>(linears_); ++i) {
      const Linear& linear = stage_.linears[i];
      ROTOR_ASSIGN_OR_RETURN(
          weights->emplace_back(),
          backend.allocate(backend.activation_dtype(), wave.size() * linear.out_features,
                           linear.in_features));
    }
    return {};
  }

  Tensor part_of(const Tensor& of_linear, const Wave& wave, int64_t expert) const {
    const int64_t rows = of_linear.rows() / wave.size();
    return of_linear.row_range((expert - wave.begin) * rows, rows);
  }

  Status solve_mine(const Wave& wave, const Range& mine, const WaveSums& sums,
                    const std::vector<Tensor>& weights, std::vector<SolvedStage>* parts) {
    const auto start = std::chrono::steady_clock::now();
    std::mutex mutex;
    PhaseTimes spent;  // by all that ran at the same time
    const Status status =
        context_.backend.for_each(mine.size(), [&](Backend& backend, int64_t i) -> Status {
          const int64_t at = mine.begin + i;
          SolvedStage& part = (*parts)[static_cast<size_t>(i)];
          PhaseTimes times;
          ROTOR_RETURN_IF_ERROR(solve_expert(backend, wave.begin + at,
                                             of_expert(sums, wave.begin + at, at), times, &part));
          for (size_t j = 0; j < weights.size() && !part.matrices.empty(); ++j) {
            if (part.matrices[j].has_value()) {
              ROTOR_RETURN_IF_ERROR(backend.copy(part.weights.linears[j].weight,
                                                 part_of(weights[j], wave, wave.begin + at)));
            }
          }
          part.weights = {};  // what a piece allocated goes with it
          const std::lock_guard lock(mutex);
          spent.add(times);
          return {};
        });
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    times_.add_within(spent, passed.count());
    return status;
  }

  /// `at`: its place in the wave.
  StageHessian of_expert(const WaveSums& sums, int64_t expert, int64_t at) const {
    const auto e = static_cast<size_t>(expert);
    StageHessian hessian;
    hessian.sum = sums.hessians[static_cast<size_t>(at)];
    hessian.noise = sums.noise.empty() ? Tensor() : sums.noise[static_cast<size_t>(at)];
    hessian.tokens = std::max<int64_t>(seen_.tokens[e], 1);
    hessian.width = stage_.in_features;
    hessian.input_amax = seen_.input_amax[e];
    return hessian;
  }

  /// On the backend of one piece, alone.
  Status solve_expert(Backend& backend, int64_t expert, const StageHessian& of_expert,
                      PhaseTimes& times, SolvedStage* part) {
    if (!is_quantized(expert)) {
      return {};
    }
    const auto e = static_cast<size_t>(expert);
    if (seen_.tokens[e] == 0) {
      ROTOR_RETURN_IF_ERROR(fill_identity(backend, of_expert.sum));
    }
    SoloCommunicator alone;
    const StagePlan plan = plan_of(expert);
    ROTOR_ASSIGN_OR_RETURN(*part, solve_stage(backend, alone, context_.plan.options, plan,
                                              weights_of(expert), of_expert, times));
    for (ModuleResult& result : part->results) {
      result.tokens = seen_.tokens[e];
    }
    return {};
  }

  StagePlan plan_of(int64_t expert) const {
    StagePlan plan;
    plan.stage.kind = stage_.kind;
    plan.stage.in_features = stage_.in_features;
    for (int64_t i = expert * linears_; i < (expert + 1) * linears_; ++i) {
      const auto at = static_cast<size_t>(i);
      plan.stage.linears.push_back(stage_.linears[at]);
      plan.modules.push_back(plan_.modules[at]);
    }
    if (const auto e = static_cast<size_t>(expert); seen_.starved[e]) {
      round_starved(seen_.tokens[e], routed_tokens(context_, stage_), experts_, &plan);
    }
    return plan;
  }

  StageWeights weights_of(int64_t expert) const {
    StageWeights weights;
    const auto begin = original_.linears.begin() + expert * linears_;
    weights.linears.assign(begin, begin + linears_);
    return weights;
  }

  Status upload(int64_t expert, SolvedStage& part) {
    const PhaseScope phase(times_, "upload");
    for (size_t i = 0; i < part.matrices.size(); ++i) {
      if (part.matrices[i].has_value()) {
        const size_t module = static_cast<size_t>(expert * linears_) + i;
        ROTOR_RETURN_IF_ERROR(put_module(context_, layer_, plan_.modules[module].linear.name,
                                         std::move(*part.matrices[i])));
      }
    }
    part.matrices.clear();
    return {};
  }

  void take_weights(const Wave& wave, const std::vector<Tensor>& weights, SolvedStage* solved) {
    const QuantOptions& options = context_.plan.options;
    for (int64_t expert = wave.begin; expert < wave.end; ++expert) {
      const float scale = stage_input_scale(options, seen_.input_amax[static_cast<size_t>(expert)]);
      for (size_t i = 0; i < weights.size(); ++i) {
        const size_t at = static_cast<size_t>(expert * linears_) + i;
        if (plan_.modules[at].quantized) {
          solved->weights.linears[at].weight = part_of(weights[i], wave, expert);
          solved->weights.linears[at].transform =
              input_transform(options, plan_.modules[at], scale);
        }
      }
    }
  }

  const LayerContext& context_;
  const int layer_;
  const StagePlan& plan_;
  const Stage& stage_;
  const StageWeights& original_;
  const StageInputs& inputs_;
  PhaseTimes& times_;
  const int64_t experts_;
  const int64_t linears_;  // of an expert
  ExpertSurvey seen_;
};

}  // namespace

Result<SolvedStage> solve_experts(const LayerContext& context, int layer, const StagePlan& plan,
                                  const StageWeights& original, const StageInputs& inputs,
                                  PhaseTimes& times) {
  return ExpertStage(context, layer, plan, original, inputs, times).run();
}

}  // namespace rotor::worker
