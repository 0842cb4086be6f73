#include "model/served_plan.h"

#include <vector>

namespace rotor {

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
                           plan.options.scheme, plan.options.activations, modules);
}

}  // namespace rotor
