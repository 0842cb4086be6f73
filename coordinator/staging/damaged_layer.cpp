#include "coordinator/staging/damaged_layer.h"

namespace rotor::coordinator {

Status damaged_layer(int32_t layer, const std::string& what) {
  return data_loss("staged layer " + std::to_string(layer) + " is damaged: " + what)
      .with_reason(kStagedLayerDamaged)
      .with_detail("layer", std::to_string(layer));
}

Status damage_unless_passing(int32_t layer, const Status& status) {
  if (status.ok() || status.code() == Code::kResourceExhausted ||
      status.code() == Code::kUnavailable) {
    return status;
  }
  return damaged_layer(layer, status.message());
}

}  // namespace rotor::coordinator
