#include "model/plan_layout.h"

#include <algorithm>
#include <map>

namespace rotor {
namespace {

Status unsupported(const LayoutLimits& limits, const std::string& what) {
  return invalid_argument("layout " + std::string(to_string(limits.layout)) + ": " + what +
                          ", or choose --layout compressed-tensors")
      .with_reason("UNSUPPORTED_COMBINATION")
      .with_detail("layout", std::string(to_string(limits.layout)));
}

}  // namespace

Result<const LayoutLimits*> check_layout(const Architecture& architecture,
                                         const QuantOptions& options) {
  ROTOR_ASSIGN_OR_RETURN(const LayoutLimits* limits,
                         find_limits(options.layout, options.scheme.format, options.activations));
  ROTOR_RETURN_IF_ERROR(check_rotation(*limits, options.rotation));
  if (const DType dtype = architecture.config.dtype;
      limits->dense_bf16_only && dtype != DType::kBf16) {
    return unsupported(*limits, "its loaders take models in BF16 alone, and this one is in " +
                                    std::string(dtype_name(dtype)) + ": save it in BF16");
  }
  const bool mixture =
      std::any_of(architecture.layers.begin(), architecture.layers.end(), [](const Layer& layer) {
        return std::any_of(layer.stages.begin(), layer.stages.end(),
                           [](const Stage& stage) { return stage.has_experts(); });
      });
  if (mixture && limits->dense_bf16_only) {
    return unsupported(*limits, "its loaders take dense models alone, and this one has experts");
  }
  if (const std::string& wrapper = architecture.config.wrapper;
      limits->ignores_unfused_only && !wrapper.empty()) {
    return unsupported(*limits,
                       "its engines look for what is not quantized under the names of the "
                       "linears that they fuse, and would take the tower of a \"" +
                           wrapper + "\" model for quantized");
  }
  if (limits->stacked_experts_alone && !stacks_biased_experts(architecture)) {
    return unsupported(*limits,
                       "it is that of gpt-oss, whose experts are one tensor a layer, with "
                       "biases, and a \"" +
                           architecture.config.model_type +
                           "\" model has none of these: "
                           "leave --layout out");
  }
  return limits;
}

bool stacks_biased_experts(const Architecture& architecture) {
  const auto is_stack = [](const Stage& stage) {
    return stage.stack.interleaved && stage.linears.front().has_bias;
  };
  return std::all_of(architecture.layers.begin(), architecture.layers.end(),
                     [&](const Layer& layer) {
                       return std::any_of(layer.stages.begin(), layer.stages.end(), is_stack);
                     });
}

Status check_fused(const LayoutLimits& limits, const StagePlan& stage) {
  std::map<int, std::vector<const ModulePlan*>> groups;
  for (const ModulePlan& module : stage.modules) {
    groups[module.linear.fuse_group].push_back(&module);
  }
  for (const auto& [number, modules] : groups) {
    const auto ignored = std::find_if(modules.begin(), modules.end(),
                                      [](const ModulePlan* m) { return !m->quantized; });
    const auto quantized = std::find_if(modules.begin(), modules.end(),
                                        [](const ModulePlan* m) { return m->quantized; });
    if (ignored == modules.end() || modules.size() < 2) {
      continue;
    }
    const std::string& name = (*ignored)->linear.name;
    if (quantized != modules.end()) {
      return invalid_argument("module " + name + " is ignored and " + (*quantized)->linear.name +
                              " is not, and engines load them as one linear: ignore both or "
                              "neither")
          .with_reason("SPLIT_FUSION")
          .with_detail("module", name);
    }
    if (limits.ignores_unfused_only) {
      return unsupported(limits, "engines look for the ignored " + name +
                                     " under the name of the linear that they fuse it into, and "
                                     "would take it for quantized: quantize it");
    }
  }
  return {};
}

Status check_experts(const LayoutLimits& limits, const LayerPlan& layer) {
  const ModulePlan* ignored = nullptr;
  const ModulePlan* quantized = nullptr;
  for (const StagePlan& stage : layer.stages) {
    for (const ModulePlan& module : stage.modules) {
      if (stage.stage.has_experts()) {
        (module.quantized ? quantized : ignored) = &module;
      }
    }
  }
  if (limits.stacked_experts_alone && ignored != nullptr) {
    return unsupported(limits, "it has words for experts of every layer, and " +
                                   ignored->linear.name + " is ignored: quantize it");
  }
  if (ignored == nullptr || quantized == nullptr) {
    return {};
  }
  return invalid_argument("module " + ignored->linear.name + " is ignored and " +
                          quantized->linear.name +
                          " is not, and engines load a layer's experts as one: ignore all of them "
                          "or none")
      .with_reason("SPLIT_FUSION")
      .with_detail("module", ignored->linear.name);
}

Status check_block(const LayoutLimits& limits, const StagePlan& stage, int asked, int divides) {
  if (asked == divides) {
    return {};
  }
  const std::string found = "it rotates every linear in blocks of one size, and " +
                            stage.stage.linears.front().name + " has " +
                            std::to_string(stage.stage.in_features) +
                            " input features, no multiple of " + std::to_string(asked);
  return unsupported(
      limits, divides >= limits.smallest_rotation
                  ? found + ": choose --rotation " + std::to_string(divides)
                  : found + " or of any block from " + std::to_string(limits.smallest_rotation));
}

}  // namespace rotor
