#include "worker/pipeline/stage_solver.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "quant/format/codes.h"
#include "quant/scales/scale_search.h"
#include "worker/pipeline/module_solver.h"

namespace rotor::worker {
namespace {

using FactorKey = std::pair<double, bool>;  // damping, act-order

/// Makes H' of the stage on every rank: finished and broadcast by its root, rotated by each.
Result<Tensor> share_hessian(Backend& backend, Communicator& comm, const StageHessian& hessian,
                             int rotation) {
  Tensor whole = hessian.sum;
  Status mine;
  if (comm.rank() == hessian.root) {
    mine = backend.hessian_finish(whole, hessian.tokens);
  } else {
    Result<Tensor> made = backend.allocate(DType::kF32, hessian.width, hessian.width);
    mine = made.status();
    if (made.ok()) {
      whole = std::move(made).value();
    }
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  ROTOR_RETURN_IF_ERROR(comm.broadcast(whole, hessian.root));
  if (rotation == 0) {
    return whole;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor rotated,
                         backend.allocate(DType::kF32, hessian.width, hessian.width));
  ROTOR_RETURN_IF_ERROR(backend.rotate_hessian(whole, rotation, rotated));
  return rotated;
}

/// Factorizes on the root and gives every rank the result.
Result<Factor> share_factor(Backend& backend, Communicator& comm, const Tensor& hessian, int root,
                            const FactorOptions& options, const std::string& name) {
  Factor factor;
  Status mine;
  if (comm.rank() == root) {
    Result<Factor> made = backend.factorize(hessian, options);
    mine = made.status();
    if (made.ok()) {
      factor = std::move(made).value();
    } else {
      mine = std::move(mine).with_context("the Hessian of " + name);
    }
  }
  ROTOR_RETURN_IF_ERROR(comm.agree(mine));
  ROTOR_RETURN_IF_ERROR(comm.broadcast_host(&factor.kind, sizeof(factor.kind), root));
  ROTOR_RETURN_IF_ERROR(comm.broadcast_host(&factor.damping, sizeof(factor.damping), root));
  if (factor.kind == FactorKind::kFailed) {
    return factor;
  }
  if (comm.rank() != root) {
    const int64_t width = hessian.cols();
    ROTOR_ASSIGN_OR_RETURN(factor.upper, backend.allocate(DType::kF32, width, width));
    ROTOR_ASSIGN_OR_RETURN(factor.order, backend.allocate(DType::kI32, 1, width));
    ROTOR_ASSIGN_OR_RETURN(factor.dead, backend.allocate(DType::kU8, 1, width));
  }
  ROTOR_RETURN_IF_ERROR(comm.broadcast(factor.upper, root));
  ROTOR_RETURN_IF_ERROR(comm.broadcast(factor.order, root));
  ROTOR_RETURN_IF_ERROR(comm.broadcast(factor.dead, root));
  return factor;
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
    for (auto& [index, solver] : solvers_) {
      ModuleResult result = begin_result(solver.plan(), hessian_.tokens);
      ROTOR_RETURN_IF_ERROR(solve_module(solver, &result));
      {
        const PhaseScope phase(times_, "gather");
        ROTOR_ASSIGN_OR_RETURN(QuantizedMatrix matrix, solver.gather(&result));
        matrix.input_global_scale = input_global_scale_;
        solved.matrices[index] = std::move(matrix);
      }
      const PhaseScope phase(times_, "rotate");
      LinearWeights& linear = solved.weights.linears[index];
      ROTOR_ASSIGN_OR_RETURN(linear.weight, dequantized_weight(backend_, *solved.matrices[index]));
      linear.transform = input_transform(options_, solver.plan(), input_global_scale_);
      solved.results.push_back(std::move(result));
    }
    return solved;
  }

 private:
  Status rotate(const StageWeights& original) {
    const PhaseScope phase(times_, "rotate");
    ROTOR_ASSIGN_OR_RETURN(rotated_hessian_,
                           share_hessian(backend_, comm_, hessian_, stage_rotation(plan_)));
    std::vector<float> largest(plan_.modules.size(), 0.0F);
    Status mine;
    for (auto& [index, solver] : solvers_) {
      Result<float> amax = solver.rotate(original.linears[index].weight);
      mine = amax.status();
      if (!mine.ok()) {
        break;
      }
      largest[index] = *amax;
    }
    ROTOR_RETURN_IF_ERROR(comm_.agree(mine));
    ROTOR_RETURN_IF_ERROR(comm_.all_reduce_max(&largest));
    // Engines fuse modules of a fuse group into one weight with one global scale.
    for (const auto& [index, solver] : solvers_) {
      float& amax = fused_amax_[solver.plan().linear.fuse_group];
      amax = std::max(amax, largest[index]);
    }
    const bool static_input =
        options_.activations == Activations::kA4 && options_.scheme.format == Format::kNvfp4;
    input_global_scale_ = static_input ? nvfp4_global_scale(hessian_.input_amax) : 0.0F;
    return {};
  }

  Status solve_module(ModuleSolver& solver, ModuleResult* result) {
    const ModulePlan& plan = solver.plan();
    const Factor* factor = nullptr;
    if (plan.method != Method::kRtn) {
      const PhaseScope phase(times_, "factor");
      ROTOR_ASSIGN_OR_RETURN(factor, factor_for(plan));
      tell_factor(plan, *factor, result);
    }
    if (factor != nullptr && factor->kind == FactorKind::kFailed) {
      factor = nullptr;
    }
    Status mine;
    {
      const PhaseScope phase(times_, "scales");
      const bool global = options_.scheme.format == Format::kNvfp4;
      const float amax = fused_amax_.at(plan.linear.fuse_group);
      mine = solver.search_scales(global ? nvfp4_global_scale(amax) : 1.0F, factor);
    }
    if (mine.ok()) {
      const PhaseScope phase(times_, "solve");
      mine = solver.solve(factor, rotated_hessian_, options_.refine_passes);
    }
    if (mine.ok()) {
      const PhaseScope phase(times_, "error");
      mine = solver.measure(rotated_hessian_);
    }
    return comm_.agree(mine);
  }

  Result<const Factor*> factor_for(const ModulePlan& plan) {
    const FactorKey key(plan.damping, plan.act_order);
    const auto found = factors_.find(key);
    if (found != factors_.end()) {
      return &found->second;
    }
    const FactorOptions options{plan.damping, plan.act_order};
    ROTOR_ASSIGN_OR_RETURN(Factor factor, share_factor(backend_, comm_, rotated_hessian_,
                                                       hessian_.root, options, plan.linear.name));
    return &factors_.emplace(key, std::move(factor)).first->second;
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
  float input_global_scale_ = 0.0F;
};

}  // namespace

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

InputTransform input_transform(const QuantOptions& options, const ModulePlan& module,
                               float input_global_scale) {
  InputTransform transform;
  transform.rotation = module.rotation;
  if (options.activations == Activations::kA4) {
    transform.quant =
        ActivationQuant{options.scheme.format, options.scheme.group_size, input_global_scale};
  }
  return transform;
}

Result<Tensor> dequantized_weight(Backend& backend, const QuantizedMatrix& matrix) {
  const QuantScheme& scheme = matrix.scheme;
  std::vector<float> scales(static_cast<size_t>(matrix.rows * matrix.groups()));
  effective_scales(scheme.scale_dtype, matrix.scales.data(), matrix.rows * matrix.groups(),
                   matrix.global_scale, scales.data());
  ROTOR_ASSIGN_OR_RETURN(Tensor effective,
                         backend.allocate(DType::kF32, matrix.rows, matrix.groups()));
  ROTOR_RETURN_IF_ERROR(backend.upload(scales.data(), scales.size() * sizeof(float), effective));
  ROTOR_ASSIGN_OR_RETURN(Tensor codes, backend.allocate(DType::kU8, matrix.rows, matrix.cols / 2));
  ROTOR_RETURN_IF_ERROR(backend.upload(matrix.codes.data(), matrix.codes.size(), codes));
  ROTOR_ASSIGN_OR_RETURN(Tensor weight,
                         backend.allocate(backend.activation_dtype(), matrix.rows, matrix.cols));
  ROTOR_RETURN_IF_ERROR(backend.dequantize(codes, scheme, effective, weight));
  return weight;
}

Result<SolvedStage> solve_stage(Backend& backend, Communicator& comm, const QuantOptions& options,
                                const StagePlan& plan, const StageWeights& original,
                                const StageHessian& hessian, PhaseTimes& times) {
  return StageSolver(backend, comm, options, plan, hessian, times).run(original);
}

}  // namespace rotor::worker
