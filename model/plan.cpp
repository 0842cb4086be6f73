#include "model/plan.h"

#include <algorithm>
#include <functional>

#include "model/name_pattern.h"
#include "model/plan_layout.h"
#include "model/settings.h"

namespace rotor {
namespace {

constexpr int kSmallestRotation = 16;
constexpr int kLargestRotation = 256;

bool is_power_of_two(int64_t value) {
  return value > 0 && (value & (value - 1)) == 0;
}

/// Length of the character class that begins at pattern[p] == '[', 0 where it is not closed; `hit`
/// tells whether c is in it.
size_t match_class(const std::string& pattern, size_t p, char c, bool* hit) {
  size_t i = p + 1;
  const bool negated = i < pattern.size() && pattern[i] == '!';
  if (negated) {
    ++i;
  }
  bool found = false;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 3;
    } else {
      found = found || pattern[i] == c;
      ++i;
    }
  }
  if (i >= pattern.size()) {
    return 0;
  }
  *hit = found != negated;
  return i - p + 1;
}

Status check_rotation_options(const QuantOptions& options) {
  for (const int block : {options.rotation, options.merged_rotation}) {
    if (block != 0 &&
        (!is_power_of_two(block) || block < kSmallestRotation || block > kLargestRotation)) {
      return invalid_argument("rotation " + std::to_string(block) +
                              ": choose none, or online or merged blocks of 16, 32, 64, 128 or 256")
          .with_reason("BAD_ROTATION");
    }
  }
  if (options.rotation != 0 && options.merged_rotation != 0) {
    return invalid_argument("an online rotation and a merged one: choose one of the two")
        .with_reason("BAD_ROTATION");
  }
  return {};
}

/// Counts what every pattern matched, to refuse those that matched nothing.
class Patterns {
 public:
  explicit Patterns(std::vector<NamePattern> patterns)
      : patterns_(std::move(patterns)), hits_(patterns_.size(), 0) {}

  /// The places of those that match.
  Result<std::vector<size_t>> match(const std::string& name) {
    std::vector<size_t> matched;
    for (size_t i = 0; i < patterns_.size(); ++i) {
      ROTOR_ASSIGN_OR_RETURN(const bool matches, patterns_[i].matches(name));
      if (matches) {
        ++hits_[i];
        matched.push_back(i);
      }
    }
    return matched;
  }

  Status check(std::string_view option, const std::string& example) const {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      if (hits_[i] == 0) {
        return invalid_argument(std::string(option) + " '" + patterns_[i].text() +
                                "' matches no linear module; modules are named like " + example +
                                ", and * matches any characters")
            .with_reason("PATTERN_WITHOUT_MATCH")
            .with_detail("pattern", patterns_[i].text());
      }
    }
    return {};
  }

 private:
  std::vector<NamePattern> patterns_;
  std::vector<int64_t> hits_;
};

Result<ModulePlan> plan_module(const Linear& linear, const QuantOptions& options,
                               Patterns& overrides) {
  ModulePlan plan;
  plan.linear = linear;
  plan.method = options.method;
  plan.scale_search = options.scale_search;
  plan.act_order = options.act_order;
  plan.damping = options.damping;
  ROTOR_ASSIGN_OR_RETURN(const std::vector<size_t> changes, overrides.match(linear.name));
  for (const size_t i : changes) {
    const ModuleOverride& change = options.overrides[i];
    plan.method = change.method.value_or(plan.method);
    plan.scale_search = change.scale_search.value_or(plan.scale_search);
    plan.act_order = change.act_order.value_or(plan.act_order);
    plan.damping = change.damping.value_or(plan.damping);
  }
  return plan;
}

/// The rotation of a stage's input. One for the stage, because engines fuse its linears.
Status plan_rotation(const QuantOptions& options, const LayoutLimits& limits, StagePlan* stage) {
  if (options.rotation == 0) {
    return {};
  }
  FallbackNote note;
  int block = options.rotation;
  while (block > 1 && stage->stage.in_features % block != 0) {
    block /= 2;
  }
  const bool biased = std::any_of(stage->modules.begin(), stage->modules.end(),
                                  [](const ModulePlan& m) { return m.linear.has_bias; });
  if (limits.rotates_all) {
    ROTOR_RETURN_IF_ERROR(check_block(limits, *stage, options.rotation, block));
  } else if (stage->stage.has_experts()) {
    block = 0;
    note = {"UNROTATED_EXPERTS", "engines rotate no input of an expert: quantized unrotated"};
  } else if (biased) {
    block = 0;
    note = {"UNROTATED_BIAS",
            "engines allow no bias on a rotated linear: the stage is quantized unrotated"};
  } else if (block != options.rotation) {
    note = {"SMALLER_ROTATION", "input width " + std::to_string(stage->stage.in_features) +
                                    " is no multiple of " + std::to_string(options.rotation) +
                                    ": rotated in blocks of " + std::to_string(block)};
  }
  for (ModulePlan& module : stage->modules) {
    if (module.quantized) {
      module.rotation = block > 1 ? block : 0;
      if (!note.kind.empty()) {
        module.notes.push_back(note);
      }
    }
  }
  return {};
}

/// The rotation that is merged into the values of a layer may be of smaller blocks than the one of
/// its residual stream.
void note_merge(const MergePlan& merge, StagePlan* stage) {
  if (stage->stage.kind != StageKind::kAttentionOut) {
    return;
  }
  for (ModulePlan& module : stage->modules) {
    const TensorMerge* weight = merge.find(module.linear.name + ".weight");
    if (module.quantized && weight != nullptr && weight->column_block != merge.block &&
        weight->column_block > 1) {
      module.notes.push_back({"SMALLER_ROTATION", "the heads' width is no multiple of " +
                                                      std::to_string(merge.block) +
                                                      ": values are rotated in blocks of " +
                                                      std::to_string(weight->column_block)});
    }
  }
}

Status check_width(const Linear& linear, const QuantScheme& scheme) {
  if (linear.in_features % scheme.group_size == 0) {
    return {};
  }
  return invalid_argument("module " + linear.name + " has " + std::to_string(linear.in_features) +
                          " input features, no multiple of the group size " +
                          std::to_string(scheme.group_size) + " of " +
                          std::string(to_string(scheme.format)) +
                          ": leave it unquantized with --ignore '" + linear.name +
                          "' or choose another format or group size")
      .with_reason("GROUP_DOES_NOT_DIVIDE")
      .with_detail("module", linear.name);
}

}  // namespace

int default_micro_batch_sequences(const ModelConfig& config, int64_t sequences, int64_t seq_len,
                                  int lanes) {
  constexpr int64_t kTokens = 8192;
  constexpr int64_t kMostForExperts = 4;  // times: activations of a micro-batch grow with it
  const RoutingRule& routing = config.routing;
  const int64_t sparsity = routing.experts / std::max<int64_t>(routing.per_token, 1);
  const int64_t tokens = kTokens * std::clamp<int64_t>(sparsity, 1, kMostForExperts);
  const int64_t full = tokens / std::max<int64_t>(seq_len, 1);
  const int64_t spread = sequences / std::max(lanes, 1);
  return static_cast<int>(std::max<int64_t>(std::min(full, spread), 1));
}

bool glob_match(const std::string& pattern, const std::string& name) {
  // Greedy match that goes back to the last star alone: linear in practice, quadratic at worst.
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string::npos;
  size_t star_name = 0;
  while (n < name.size()) {
    bool hit = false;
    size_t step = 0;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
      continue;
    }
    if (p < pattern.size()) {
      if (pattern[p] == '[') {
        step = match_class(pattern, p, name[n], &hit);
      }
      if (step == 0) {
        step = 1;
        hit = pattern[p] == '?' || pattern[p] == name[n];
      }
    }
    if (hit) {
      p += step;
      ++n;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

Result<ModelPlan> make_plan(const Architecture& architecture, const QuantOptions& options) {
  ROTOR_RETURN_IF_ERROR(check_rotation_options(options));
  ROTOR_RETURN_IF_ERROR(check_ranges(options));
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits, check_layout(architecture, options));
  ModelPlan plan;
  plan.options = options;
  plan.architecture = architecture;
  if (options.merged_rotation != 0) {
    ROTOR_ASSIGN_OR_RETURN(plan.merge, plan_merge(architecture, options.merged_rotation));
    plan.architecture = merged_architecture(architecture);
  }

  ROTOR_ASSIGN_OR_RETURN(std::vector<NamePattern> ignored, parse_name_patterns(options.ignore));
  Patterns ignore(std::move(ignored));
  std::vector<std::string> override_patterns;
  for (const ModuleOverride& change : options.overrides) {
    override_patterns.push_back(change.pattern);
  }
  ROTOR_ASSIGN_OR_RETURN(std::vector<NamePattern> overridden,
                         parse_name_patterns(override_patterns));
  Patterns overrides(std::move(overridden));
  // Head, routers and gates are never quantized, but a user may name them: that is no mistake.
  ROTOR_RETURN_IF_ERROR(ignore.match(architecture.head).status());

  std::string example;
  bool any_quantized = false;
  for (const Layer& layer : architecture.layers) {
    LayerPlan layer_plan{layer.index, layer.prefix, {}};
    for (const Stage& stage : layer.stages) {
      if (!stage.router.empty()) {
        ROTOR_RETURN_IF_ERROR(ignore.match(stage.router).status());
      }
      for (const Linear& gate : stage.gates) {
        ROTOR_RETURN_IF_ERROR(ignore.match(gate.name).status());
      }
      StagePlan stage_plan{stage, {}};
      for (const Linear& linear : stage.linears) {
        example = example.empty() ? linear.name : example;
        ROTOR_ASSIGN_OR_RETURN(ModulePlan module, plan_module(linear, options, overrides));
        ROTOR_ASSIGN_OR_RETURN(const std::vector<size_t> ignoring, ignore.match(linear.name));
        module.quantized =
            ignoring.empty() && (stage.has_experts() || !limits->stacked_experts_alone);
        if (module.quantized) {
          ROTOR_RETURN_IF_ERROR(check_width(linear, options.scheme));
          any_quantized = true;
          if (const auto merged = plan.merge.tensors.find(linear.name + ".weight");
              merged != plan.merge.tensors.end()) {
            merged->second.exact = true;
          }
        }
        stage_plan.modules.push_back(std::move(module));
      }
      ROTOR_RETURN_IF_ERROR(check_fused(*limits, stage_plan));
      ROTOR_RETURN_IF_ERROR(plan_rotation(options, *limits, &stage_plan));
      note_merge(plan.merge, &stage_plan);
      layer_plan.stages.push_back(std::move(stage_plan));
    }
    ROTOR_RETURN_IF_ERROR(check_experts(*limits, layer_plan));
    plan.layers.push_back(std::move(layer_plan));
  }
  ROTOR_RETURN_IF_ERROR(ignore.check("--ignore", example));
  ROTOR_RETURN_IF_ERROR(overrides.check("--override", example));
  if (!any_quantized) {
    return invalid_argument("every linear module is ignored: nothing is left to quantize")
        .with_reason("NOTHING_TO_QUANTIZE");
  }
  return plan;
}

}  // namespace rotor
