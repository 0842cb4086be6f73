#include "worker/pipeline/layer_context.h"

#include <utility>

namespace rotor::worker {

Status put_module(const LayerContext& context, int layer, const std::string& module,
                  QuantizedMatrix&& matrix) {
  ROTOR_ASSIGN_OR_RETURN(
      std::vector<StoredTensor> tensors,
      context.layout.encode(module, context.plan.options.activations, std::move(matrix)));
  return context.sink.put(layer, std::move(tensors));
}

}  // namespace rotor::worker
