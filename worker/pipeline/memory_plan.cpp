#include "worker/pipeline/memory_plan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "worker/pipeline/stage_solver.h"
#include "worker/pipeline/waves.h"

namespace rotor::worker {
namespace {

constexpr int64_t kFloatBytes = 4;
constexpr int64_t kStoredWeightBytes = 2;
// Of one element of a weight while it is solved: rotated, its errors, its turned copy, its codes
// and scales (kernels/solve.h), and what it decodes to.
constexpr int64_t kSolveBytes = 18;
constexpr int64_t kFactorRowBytes = 12 << 10;  // scratch of a factorization (kernels/cholesky.h)

class Estimate {
 public:
  Estimate(const ModelPlan& plan, const MemoryNeeds& needs) : plan_(plan), needs_(needs) {}

  /// The most that any moment of any layer takes.
  int64_t peak(const MemoryPlan& memory) const {
    int64_t most = 0;
    for (const LayerPlan& layer : plan_.layers) {
      std::map<CarrySlot, int64_t> carry;  // features of what lies before the stage
      const int64_t micro_batch = micro_batch_bytes(layer);
      const int64_t weights = layer_weight_bytes(layer);
      for (const StagePlan& stage : layer.stages) {
        const int64_t before = carry_bytes(carry);
        const std::map<CarrySlot, int64_t> after = behind(stage.stage, carry, memory);
        // What it takes goes when the last micro-batch has been through.
        std::map<CarrySlot, int64_t> both = carry;
        both.insert(after.begin(), after.end());
        const int64_t moment = std::max({hessian_bytes(stage) + before, solve_bytes(stage) + before,
                                         carry_bytes(both) + micro_batch});
        most = std::max(most, moment + weights);
        carry = after;
      }
    }
    return most + (memory.spill ? 0 : residual_bytes());
  }

 private:
  /// What lies behind a stage (StageForward::finish).
  static std::map<CarrySlot, int64_t> behind(const Stage& stage, std::map<CarrySlot, int64_t> carry,
                                             const MemoryPlan& memory) {
    if (stage.leaves.empty()) {
      return {};
    }
    if (memory.keeps(stage)) {
      for (const CarrySlot slot : stage.takes) {
        carry.erase(slot);
      }
      for (const CarryPart& part : stage.leaves) {
        carry[part.slot] = part.features;
      }
    }
    return carry;
  }

  int64_t carry_bytes(const std::map<CarrySlot, int64_t>& carry) const {
    int64_t features = 0;
    for (const auto& [slot, width] : carry) {
      features += width;
    }
    return needs_.rank_tokens * features * needs_.activation_bytes;
  }

  int64_t residual_bytes() const {
    return needs_.rank_tokens * plan_.architecture.config.hidden_size * needs_.activation_bytes;
  }

  /// As they are stored, and as the quantized ones run.
  int64_t layer_weight_bytes(const LayerPlan& layer) const {
    int64_t elements = 0;
    for (const StagePlan& stage : layer.stages) {
      for (const ModulePlan& module : stage.modules) {
        elements += module.linear.out_features * module.linear.in_features;
      }
    }
    return elements * (kStoredWeightBytes + needs_.activation_bytes);
  }

  /// Partial sums of the lane tree, and the micro-batch that is being added.
  int64_t hessian_bytes(const StagePlan& stage) const {
    const int64_t width = stage.stage.in_features;
    const auto lanes =
        static_cast<uint64_t>(std::max<int64_t>(needs_.cut.lanes / std::max(needs_.ranks, 1), 1));
    const int64_t sums = std::bit_width(lanes) + (needs_.ranks > 1 ? 1 : 0);
    return together(stage) * sums * width * width * kFloatBytes +
           needs_.cut.batch_tokens() * 2 * width * needs_.activation_bytes;
  }

  /// Hessians of a stage that are summed together: of a mixture, those of a wave of experts.
  int64_t together(const StagePlan& stage) const {
    return stage.stage.has_experts()
               ? cut_waves(stage.stage.routing.experts, stage.stage.in_features, needs_.cut.lanes)
                     .back()
                     .size()
               : 1;
  }

  /// The Hessian, its rotated copy and its factor, and the weights of the stage being solved.
  int64_t solve_bytes(const StagePlan& stage) const {
    const int64_t width = stage.stage.in_features;
    if (stage.stage.has_experts()) {
      // Those of a wave are solved at the same time: a Hessian, its rotated copy and its factor
      // each.
      return together(stage) * (3 * width * width * kFloatBytes +
                                stage.stage.linears_per_input() * width * kSolveBytes *
                                    stage.stage.linears.front().out_features);
    }
    const int ranks = std::max(needs_.ranks, 1);
    const auto bytes = [&](size_t module, int64_t of_element) {
      return stage.modules[module].linear.out_features / ranks * width * of_element;
    };
    int64_t rotated = 0;
    int64_t largest = 0;
    for (const std::vector<size_t>& together : solved_together(stage, ranks)) {
      int64_t solved = 0;
      for (const size_t module : together) {
        rotated += bytes(module, kFloatBytes);
        solved += bytes(module, kSolveBytes);
      }
      largest = std::max(largest, solved);
    }
    return 3 * width * width * kFloatBytes + rotated + std::max(largest, width * kFactorRowBytes);
  }

  /// What the decoder and a stage that is run again keep for one micro-batch.
  int64_t micro_batch_bytes(const LayerPlan& layer) const {
    int64_t features = 3 * plan_.architecture.config.hidden_size;
    for (const StagePlan& stage : layer.stages) {
      int64_t of_stage = 0;
      for (const Linear& linear : stage.stage.linears) {
        of_stage += linear.out_features;
      }
      const RoutingRule& routing = stage.stage.routing;
      features +=
          stage.stage.has_experts() ? of_stage / routing.experts * routing.per_token : of_stage;
      if (stage.stage.kind == StageKind::kDeltaIn || stage.stage.attention.gated) {
        features += 2 * of_stage;  // taken apart, and convolved
      }
      if (stage.stage.kind == StageKind::kLatentKeyValue) {
        // Put together of what the linear gives and the part that heads share.
        features += stage.stage.attention.key_features() + stage.stage.attention.value_features();
      }
    }
    return needs_.cut.batch_tokens() * features * needs_.activation_bytes;
  }

  const ModelPlan& plan_;
  const MemoryNeeds& needs_;
};

/// Widths of carries, the widest first.
std::set<int64_t, std::greater<>> carry_widths(const ModelPlan& plan) {
  std::set<int64_t, std::greater<>> widths;
  for (const LayerPlan& layer : plan.layers) {
    for (const StagePlan& stage : layer.stages) {
      for (const CarryPart& part : stage.stage.leaves) {
        widths.insert(part.features);
      }
    }
  }
  return widths;
}

}  // namespace

bool MemoryPlan::keeps(const Stage& stage) const {
  return std::all_of(stage.leaves.begin(), stage.leaves.end(),
                     [&](const CarryPart& part) { return part.features <= kept_carry; });
}

std::string MemoryPlan::text() const {
  std::array<char, 32> gigabytes{};
  std::snprintf(gigabytes.data(), gigabytes.size(), "%.1f GB", static_cast<double>(bytes) * 1e-9);
  const std::string carries =
      kept_carry == std::numeric_limits<int64_t>::max()
          ? "all carries kept"
          : "carries up to " + std::to_string(kept_carry) + " features kept";
  return carries + ", residual stream " + (spill ? "in host memory" : "on the device") + ", " +
         gigabytes.data();
}

MemoryPlan plan_memory(const ModelPlan& plan, const MemoryNeeds& needs, int64_t budget) {
  const Estimate estimate(plan, needs);
  MemoryPlan memory;
  memory.bytes = estimate.peak(memory);
  if (budget == 0) {
    return memory;
  }
  const auto fits = [&] {
    memory.bytes = estimate.peak(memory);
    return memory.bytes <= budget;
  };
  if (fits()) {
    return memory;
  }
  for (const int64_t width : carry_widths(plan)) {
    memory.kept_carry = width - 1;
    if (fits()) {
      return memory;
    }
  }
  memory.spill = needs.host_is_apart;
  memory.bytes = estimate.peak(memory);
  return memory;
}

}  // namespace rotor::worker
