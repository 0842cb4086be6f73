#include "quant/checkpoint/quantization_info.h"

namespace rotor {

std::string StoredRotation::suffix() const {
  return storage == RotationStorage::kSylvesterShared ? "." + name + "_input.weight" : "." + name;
}

const StoredRotation* StoredQuantization::rotation_of(std::string_view module) const {
  for (const StoredRotation& rotation : rotations) {
    const bool targeted = rotation.targets.contains("Linear") || rotation.targets.contains(module);
    if (targeted && !rotation.ignore.contains(module)) {
      return &rotation;
    }
  }
  return nullptr;
}

}  // namespace rotor
