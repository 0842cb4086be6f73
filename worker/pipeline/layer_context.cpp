#include "worker/pipeline/layer_context.h"

#include <utility>

namespace rotor::worker {

Status put_module(const LayerContext& context, int layer, const std::string& module,
                  PendingMatrix&& pending) {
  const CheckpointLayout& layout = context.layout;
  const Activations activations = context.plan.options.activations;
  PendingTensors tensors;
  tensors.bytes = pending.bytes();
  tensors.make = [&layout, activations, module,
                  pending = std::move(pending)]() mutable -> Result<std::vector<StoredTensor>> {
    ROTOR_ASSIGN_OR_RETURN(QuantizedMatrix matrix, pending.take());
    return layout.encode(module, activations, std::move(matrix));
  };
  return context.sink.put(layer, std::move(tensors));
}

}  // namespace rotor::worker
