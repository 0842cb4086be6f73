#include "model/tensor_names.h"

#include <algorithm>
#include <array>
#include <string>

namespace rotor {

TensorNames find_tensor_names(const TensorSource& checkpoint) {
  // Alone; as transformers 5 and most models name it; as transformers up to 4.51 did.
  const std::array<TensorNames, 3> known = {
      TensorNames{"model.", "lm_head"},
      TensorNames{"model.language_model.", "lm_head"},
      TensorNames{"language_model.model.", "language_model.lm_head"},
  };
  const auto found = std::find_if(known.begin(), known.end(), [&](const TensorNames& names) {
    return checkpoint.find(names.decoder + "embed_tokens.weight") != nullptr;
  });
  return found == known.end() ? TensorNames() : *found;
}

}  // namespace rotor
