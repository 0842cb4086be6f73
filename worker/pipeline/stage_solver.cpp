#include "worker/pipeline/stage_solver.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "quant/scales/scale_search.h"
#include "worker/pipeline/module_solver.h"

namespace rotor::worker {
namespace {

using FactorKey = std::pair<double, bool>;  // damping, act-order

// With so many rows on a rank a GPU is full, and more at once would only take more memory.
constexpr int64_t kRowsTogether = 16384;

Result<Tensor> rotate_hessian(Backend& backend, const Tensor& hessian, int rotation) {
  if (rotation == 0) {
    return hessian;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor rotated,
                         backend.allocate(DType::kF32, hessian.rows(), hessian.cols()));
  ROTOR_RETURN_IF_ERROR(backend.rotate_hessian(hessian, rotation, rotated));
  return rotated;
}

/// What the ladder of algorithm.md section 3 did, in the module's result.
void tell_factor(const ModulePlan& plan, const Factor& factor, ModuleResult* result) {
  result->damping = factor.damping;
  switch (factor.kind) {
    case FactorKind::kGptq:
      if (factor.damping > plan.damping) {
        result->fallbacks.push_back(
            {"DAMPING_RAISED", "the Hessian could not be factorized with damping " +
                                   std::to_string(plan.damping) + ": raised to " +
                                   std::to_string(factor.damping)});
      }
      return;
    case FactorKind::kDiagonal:
      result->fallbacks.push_back(
          {"DIAGONAL_HESSIAN",
           "no damping up to 1 made the Hessian factorizable: its diagonal was "
           "used"});
      return;
    case FactorKind::kFailed:
      result->method = Method::kRtn;
      result->damping = 0.0;
      result->fallbacks.push_back(
          {"ROUND_TO_NEAREST", "not even the diagonal of the Hessian could be used"});
      return;
  }
}

ModuleResult begin_result(const ModulePlan& plan, int64_t tokens) {
  ModuleResult result;
  result.name = plan.linear.name;
  result.rotation = plan.rotation;
  result.method = plan.method;
  result.tokens = tokens;
  result.fallbacks = plan.notes;
  return result;
}

class StageSolver {
 public:
  StageSolver(Backend& backend, Communicator& comm, const QuantOptions& options,
              const StagePlan& plan, const StageHessian& hessian, PhaseTimes& times)
      : backend_(backend),
        comm_(comm),
        options_(options),
        plan_(plan),
        hessian_(hessian),
        times_(times) {
    for (size_t i = 0; i < plan.modules.size(); ++i) {
      if (plan.modules[i].quantized) {
        solvers_.emplace(i, ModuleSolver(backend, comm, options.scheme, plan.modules[i]));
      }
    }
  }

  Result<SolvedStage> run(const StageWeights& original) {
    ROTOR_RETURN_IF_ERROR(rotate(original));
    SolvedStage solved;
    solved.weights = original;
    solved.matrices.resize(plan_.modules.size());
    Status mine;  // agreed on with the next module, so that no rank waits for another's download
    // Each solver goes once it is done: its memory is for the next.
    for (const std::vector<size_t>& together : solved_together(plan_, comm_.size())) {
      std::vector<ModuleResult> results;
      for (const size_t index : together) {
        results.push_back(begin_result(plan_.modules[index], hessian_.tokens));
      }
      ROTOR_RETURN_IF_ERROR(solve_modules(together, std::move(mine), &results));
      mine = {};
      for (size_t i = 0; i < together.size(); ++i) {
        const auto it = solvers_.find(together[i]);
        {
          const PhaseScope phase(times_, "gather", 0.0, it->second.stored_bytes());
          ROTOR_RETURN_IF_ERROR(comm_.agree(std::exchange(mine, {})));
          ROTOR_RETURN_IF_ERROR(it->second.gather(&results[i]));
        }
        mine = finish_module(it->first, it->second, &solved);
        solvers_.erase(it);
        solved.results.push_back(std::move(results[i]));
      }
    }
    ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
    return solved;
  }

 private:
  /// Not collective.
  Status finish_module(size_t index, ModuleSolver& solver, SolvedStage* solved) {
    LinearWeights& linear = solved->weights.linears[index];
    {
      const PhaseScope phase(times_, "dequantize", 0.0, solver.dequantize_bytes());
      ROTOR_ASSIGN_OR_RETURN(linear.weight, solver.dequantized());
      linear.transform = input_transform(options_, solver.plan(), input_global_scale_);
    }
    if (uploader(hessian_.root, index, comm_.size()) == comm_.rank()) {
      const PhaseScope phase(times_, "upload", 0.0, solver.stored_bytes());
      ROTOR_ASSIGN_OR_RETURN(PendingMatrix pending, solver.begin_download());
      pending.matrix.input_global_scale = input_global_scale_;
      solved->matrices[index] = std::move(pending);
    }
    return {};
  }

  Status rotate(const StageWeights& original) {
    double bytes = 0.0;
    for (const auto& [index, solver] : solvers_) {
      bytes += solver.rotate_bytes();
    }
    const PhaseScope phase(times_, "rotate", 0.0, bytes);
    const Tensor& hessian = hessian_.sum;
    std::vector<float> largest(plan_.modules.size(), 0.0F);
    const auto rotate_mine = [&]() -> Status {
      ROTOR_RETURN_IF_ERROR(backend_.hessian_finish(hessian, hessian_.tokens));
      ROTOR_ASSIGN_OR_RETURN(rotated_hessian_,
                             rotate_hessian(backend_, hessian, stage_rotation(plan_)));
      if (fits_noisy_inputs(options_, plan_)) {
        ROTOR_RETURN_IF_ERROR(take_noise());
      }
      for (auto& [index, solver] : solvers_) {
        ROTOR_ASSIGN_OR_RETURN(largest[index], solver.rotate(original.linears[index].weight));
      }
      return {};
    };
    ROTOR_RETURN_IF_ERROR(comm_.agree(rotate_mine()));
    ROTOR_RETURN_IF_ERROR(comm_.all_reduce_max(&largest));
    // Engines fuse modules of a fuse group into one weight with one global scale.
    for (const auto& [index, solver] : solvers_) {
      float& amax = fused_amax_[solver.plan().linear.fuse_group];
      amax = std::max(amax, largest[index]);
    }
    input_global_scale_ = stage_input_scale(options_, hessian_.input_amax);
    return {};
  }

  /// Its mean over the tokens, which the Hessian gets too.
  Status take_noise() {
    ROTOR_ASSIGN_OR_RETURN(noise_, backend_.allocate(DType::kF32, 1, hessian_.width));
    ROTOR_RETURN_IF_ERROR(backend_.hessian_zero(noise_));
    ROTOR_RETURN_IF_ERROR(
        backend_.add(noise_, hessian_.noise, 1.0F / static_cast<float>(hessian_.tokens)));
    return backend_.hessian_add_diagonal(rotated_hessian_, noise_);
  }

  /// Modules of solved_together(). `mine`: what this rank has to tell of those before.
  Status solve_modules(const std::vector<size_t>& together, Status mine,
                       std::vector<ModuleResult>* results) {
    const ModulePlan& plan = plan_.modules[together.front()];
    const Factor* factor = nullptr;
    if (plan.method != Method::kRtn) {
      const PhaseScope phase(times_, "factor", factor_flops(plan));
      ROTOR_ASSIGN_OR_RETURN(factor, factor_for(plan));
      for (size_t i = 0; i < together.size(); ++i) {
        tell_factor(plan_.modules[together[i]], *factor, &(*results)[i]);
      }
    }
    if (factor != nullptr && factor->kind == FactorKind::kFailed) {
      factor = nullptr;
    }
    if (mine.ok()) {
      mine = solve_rows(together, factor);
    }
    return comm_.agree(mine);
  }

  /// Not collective. `factor` null: by rounding to nearest.
  Status solve_rows(const std::vector<size_t>& together, const Factor* factor) {
    std::vector<RowsToSolve> weights;
    double flops = 0.0;
    for (const size_t index : together) {
      ModuleSolver& solver = solvers_.at(index);
      const PhaseScope phase(times_, "scales", 0.0, solver.scale_bytes());
      const float amax = fused_amax_.at(solver.plan().linear.fuse_group);
      if (factor != nullptr && !noise_.empty()) {
        ROTOR_RETURN_IF_ERROR(solver.fit_noisy_inputs(noise_, *factor));
      }
      ROTOR_RETURN_IF_ERROR(solver.search_scales(global_scale_for(options_.scheme, amax), factor));
      ROTOR_ASSIGN_OR_RETURN(RowsToSolve rows, solver.begin_codes());
      if (rows.w.rows() > 0) {
        weights.push_back(std::move(rows));
      }
      flops += factor == nullptr ? 0.0 : solver.solve_flops(options_.refine_passes);
    }
    {
      const PhaseScope phase(times_, "solve", flops);
      ROTOR_RETURN_IF_ERROR(factor != nullptr ? solve_by(*factor, weights) : round(together));
    }
    for (const size_t index : together) {
      ModuleSolver& solver = solvers_.at(index);
      const PhaseScope phase(times_, "error", solver.measure_flops());
      ROTOR_RETURN_IF_ERROR(solver.measure(rotated_hessian_));
    }
    return {};
  }

  Status solve_by(const Factor& factor, std::span<const RowsToSolve> weights) {
    ROTOR_RETURN_IF_ERROR(backend_.solve(weights, options_.scheme, factor));
    if (options_.refine_passes == 0 || factor.kind != FactorKind::kGptq) {
      return {};
    }
    return backend_.refine(weights, options_.scheme, rotated_hessian_, factor.damping,
                           options_.refine_passes);
  }

  Status round(const std::vector<size_t>& together) {
    for (const size_t index : together) {
      ROTOR_RETURN_IF_ERROR(solvers_.at(index).round());
    }
    return {};
  }

  /// Of a Cholesky factorization, if the module needs one: counted once in a group.
  double factor_flops(const ModulePlan& plan) const {
    const bool made = factors_.contains(FactorKey(plan.damping, plan.act_order));
    const auto width = static_cast<double>(hessian_.width);
    return made || hessian_.root != comm_.rank() ? 0.0 : width * width * width / 3.0;
  }

  Result<const Factor*> factor_for(const ModulePlan& plan) {
    const FactorKey key(plan.damping, plan.act_order);
    const auto found = factors_.find(key);
    if (found != factors_.end()) {
      return &found->second;
    }
    const FactorOptions options{plan.damping, plan.act_order};
    Result<Factor> factor = backend_.factorize(rotated_hessian_, options, comm_, hessian_.root);
    ROTOR_RETURN_IF_ERROR(factor.status().with_context("the Hessian of " + plan.linear.name));
    return &factors_.emplace(key, std::move(factor).value()).first->second;
  }

  Backend& backend_;
  Communicator& comm_;
  const QuantOptions& options_;
  const StagePlan& plan_;
  const StageHessian& hessian_;
  PhaseTimes& times_;
  std::map<size_t, ModuleSolver> solvers_;  // by index of the module in the stage
  std::map<int, float> fused_amax_;         // by fuse group
  std::map<FactorKey, Factor> factors_;
  Tensor rotated_hessian_;
  Tensor noise_;  // by column, of one token; empty where inputs are taken as they are
  float input_global_scale_ = 0.0F;
};

}  // namespace

std::vector<std::vector<size_t>> solved_together(const StagePlan& plan, int ranks) {
  std::vector<std::vector<size_t>> all;
  int64_t rows = 0;
  for (size_t i = 0; i < plan.modules.size(); ++i) {
    const ModulePlan& module = plan.modules[i];
    if (!module.quantized) {
      continue;
    }
    rows += module.linear.out_features / ranks;
    const ModulePlan* first = all.empty() ? nullptr : &plan.modules[all.back().front()];
    if (first == nullptr || rows > kRowsTogether || module.method != first->method ||
        module.damping != first->damping || module.act_order != first->act_order) {
      all.emplace_back();
      rows = module.linear.out_features / ranks;
    }
    all.back().push_back(i);
  }
  return all;
}

int uploader(int root, size_t module, int ranks) {
  return static_cast<int>((static_cast<size_t>(root) + module) % static_cast<size_t>(ranks));
}

bool needs_hessian(const StagePlan& plan) {
  return std::any_of(plan.modules.begin(), plan.modules.end(),
                     [](const ModulePlan& module) { return module.quantized; });
}

int stage_rotation(const StagePlan& plan) {
  for (const ModulePlan& module : plan.modules) {
    if (module.quantized) {
      return module.rotation;
    }
  }
  return 0;
}

bool fits_noisy_inputs(const QuantOptions& options, const StagePlan& plan) {
  return options.activations == Activations::kA4 &&
         std::any_of(plan.modules.begin(), plan.modules.end(), [](const ModulePlan& module) {
           return module.quantized && module.method != Method::kRtn;
         });
}

Status add_input_noise(Backend& backend, const QuantOptions& options, const Tensor& rotated,
                       float input_amax, const Tensor& noise) {
  if (!std::isfinite(input_amax)) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor quantized,
                         backend.allocate(rotated.dtype(), rotated.rows(), rotated.cols()));
  const ActivationQuant quant{options.scheme, stage_input_scale(options, input_amax)};
  ROTOR_RETURN_IF_ERROR(backend.quantize_activations(rotated, quant, quantized));
  return backend.add_squared_differences(rotated, quantized, noise);
}

float stage_input_scale(const QuantOptions& options, float input_amax) {
  const bool is_static =
      options.activations == Activations::kA4 && has_global_scale(options.scheme);
  return is_static ? global_scale_for(options.scheme, input_amax) : 0.0F;
}

InputTransform input_transform(const QuantOptions& options, const ModulePlan& module,
                               float input_global_scale) {
  InputTransform transform;
  transform.rotation = module.rotation;
  if (options.activations == Activations::kA4) {
    transform.quant = ActivationQuant{options.scheme, input_global_scale};
  }
  return transform;
}

Result<SolvedStage> solve_stage(Backend& backend, Communicator& comm, const QuantOptions& options,
                                const StagePlan& plan, const StageWeights& original,
                                const StageHessian& hessian, PhaseTimes& times) {
  return StageSolver(backend, comm, options, plan, hessian, times).run(original);
}

}  // namespace rotor::worker
