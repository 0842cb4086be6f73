#include "model/tensor_names.h"

#include <algorithm>
#include <array>
#include <string>

namespace rotor {
namespace {

constexpr size_t kMostNamed = 8;  // in one message

}  // namespace

TensorNames find_tensor_names(const TensorSource& checkpoint) {
  // Alone; as transformers 5 and most models name it; as transformers up to 4.51 did; saved from
  // the bare backbone, as embedding models are, alone and out of a wrapper.
  const std::array<TensorNames, 5> known = {
      TensorNames{"model.", "lm_head"},
      TensorNames{"model.language_model.", "lm_head"},
      TensorNames{"language_model.model.", "language_model.lm_head"},
      TensorNames{"", "lm_head"},
      TensorNames{"language_model.", "lm_head"},
  };
  const auto found = std::find_if(known.begin(), known.end(), [&](const TensorNames& names) {
    return checkpoint.find(names.decoder + "embed_tokens.weight") != nullptr;
  });
  return found == known.end() ? TensorNames() : *found;
}

std::string list_some(const std::vector<std::string>& names) {
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
    list += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostNamed) {
    list += " and " + std::to_string(names.size() - kMostNamed) + " more";
  }
  return list;
}

}  // namespace rotor
