#include "model/served_plan.h"

#include <vector>

namespace rotor {
namespace {

Heads heads_of(const Architecture& architecture) {
  Heads heads;
  for (const Layer& layer : architecture.layers) {
    for (const Stage& stage : layer.stages) {
      if (stage.kind == StageKind::kDeltaIn) {
        heads.cut.insert({stage.delta.key_heads, stage.delta.value_heads});
      } else if (stage.kind == StageKind::kAttentionIn) {
        heads.cut.insert(stage.attention.heads);
        heads.shared.insert(stage.attention.kv_heads);
      } else if (stage.kind == StageKind::kLatentIn) {
        heads.cut.insert(stage.attention.heads);  // a head's keys and values are its own
      }
    }
  }
  return heads;
}

}  // namespace

ServedCheckpoint served_checkpoint(const ModelPlan& plan) {
  std::vector<QuantizedModule> modules;
  for (const LayerPlan& layer : plan.layers) {
    for (const StagePlan& stage : layer.stages) {
      for (const ModulePlan& module : stage.modules) {
        if (module.quantized) {
          modules.push_back({module.linear.name, module.linear.out_features,
                             module.linear.in_features, module.rotation});
        }
      }
    }
  }
  return served_checkpoint(plan.architecture.config.model_type, plan.options.layout,
                           plan.options.scheme, plan.options.activations, modules,
                           heads_of(plan.architecture));
}

}  // namespace rotor
