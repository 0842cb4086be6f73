#include "worker/pipeline/expert_survey.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

#include "worker/pipeline/input_peaks.h"
#include "worker/pipeline/stage_solver.h"
#include "worker/pipeline/starved_experts.h"

namespace rotor::worker {
namespace {

/// Every rank's numbers, added up.
Status sum_over_ranks(Communicator& comm, std::vector<int64_t>* numbers) {
  const std::string mine(reinterpret_cast<const char*>(numbers->data()),
                         numbers->size() * sizeof(int64_t));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> all, comm.all_gather(mine));
  std::fill(numbers->begin(), numbers->end(), 0);
  for (const std::string& of_rank : all) {
    std::vector<int64_t> theirs(numbers->size());
    std::memcpy(theirs.data(), of_rank.data(), of_rank.size());
    std::transform(theirs.begin(), theirs.end(), numbers->begin(), numbers->begin(), std::plus());
  }
  return {};
}

bool has_static_input(const QuantOptions& options) {
  return options.activations == Activations::kA4 && has_global_scale(options.scheme);
}

/// What this rank's micro-batches show.
Status survey_mine(const LayerContext& context, const StagePlan& plan, const StageInputs& inputs,
                   PhaseTimes& times, ExpertSurvey* seen) {
  const PhaseScope phase(times, "forward");
  Backend& backend = context.backend;
  const Stage& stage = plan.stage;
  const std::vector<MicroBatch>& batches = context.batches;
  const int64_t experts = std::ssize(seen->tokens);
  ROTOR_ASSIGN_OR_RETURN(InputPeaks largest, InputPeaks::create(backend, std::ssize(batches)));
  ROTOR_ASSIGN_OR_RETURN(InputPeaks by_expert, InputPeaks::create(backend, experts));
  for (size_t i = 0; i < batches.size(); ++i) {
    ROTOR_ASSIGN_OR_RETURN(const RoutedRows input,
                           inputs.forward.input(inputs.stage, inputs.weights, batches[i]));
    ROTOR_RETURN_IF_ERROR(largest.fold(static_cast<int64_t>(i), input.rows));
    for (int64_t expert = 0; expert < experts; ++expert) {
      seen->tokens[static_cast<size_t>(expert)] += input.routing.rows(expert);
      if (has_static_input(context.plan.options) && input.routing.rows(expert) > 0) {
        ROTOR_ASSIGN_OR_RETURN(const Tensor rows,
                               context.decoder.expert_input(stage, input, expert));
        ROTOR_ASSIGN_OR_RETURN(const Tensor rotated, rotated_rows(backend, plan, rows));
        ROTOR_RETURN_IF_ERROR(by_expert.fold(expert, rotated));
      }
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<float> values, largest.values());
  for (size_t i = 0; i < values.size(); ++i) {
    ROTOR_RETURN_IF_ERROR(
        expect_finite(values[i], batches[i], "the input of " + stage.linears.front().name));
  }
  ROTOR_ASSIGN_OR_RETURN(seen->input_amax, by_expert.values());
  return {};
}

void find_starved(const LayerContext& context, const Stage& stage, ExpertSurvey* seen) {
  float peers = 0.0F;
  float all = 0.0F;
  const int64_t experts = std::ssize(seen->tokens);
  for (size_t e = 0; e < seen->tokens.size(); ++e) {
    seen->starved[e] = is_starved(seen->tokens[e], routed_tokens(context, stage), experts,
                                  context.plan.options.least_expert_share);
    all = std::max(all, seen->input_amax[e]);
    peers = seen->starved[e] ? peers : std::max(peers, seen->input_amax[e]);
  }
  for (size_t e = 0; e < seen->tokens.size(); ++e) {
    if (seen->starved[e]) {
      seen->input_amax[e] = peers > 0.0F ? peers : all;
    }
  }
}

}  // namespace

int64_t routed_tokens(const LayerContext& context, const Stage& stage) {
  return context.cut.tokens() * stage.routing.per_token;
}

Result<Tensor> rotated_rows(Backend& backend, const StagePlan& plan, const Tensor& rows) {
  const int rotation = stage_rotation(plan);
  if (rotation == 0) {
    return rows;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor out, backend.allocate(rows.dtype(), rows.rows(), rows.cols()));
  ROTOR_RETURN_IF_ERROR(backend.rotate(rows, rotation, out));
  return out;
}

Result<ExpertSurvey> survey_experts(const LayerContext& context, const StagePlan& plan,
                                    const StageInputs& inputs, PhaseTimes& times) {
  const auto experts = static_cast<size_t>(plan.stage.routing.experts);
  ExpertSurvey seen{std::vector<int64_t>(experts, 0), std::vector<bool>(experts, false),
                    std::vector<float>(experts, 0.0F)};
  ROTOR_RETURN_IF_ERROR(context.comm.agree(survey_mine(context, plan, inputs, times, &seen)));
  ROTOR_RETURN_IF_ERROR(sum_over_ranks(context.comm, &seen.tokens));
  ROTOR_RETURN_IF_ERROR(context.comm.all_reduce_max(&seen.input_amax));
  find_starved(context, plan.stage, &seen);
  return seen;
}

}  // namespace rotor::worker
