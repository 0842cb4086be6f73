#include "quant/checkpoint/linear_names.h"

#include <string_view>

namespace rotor {
namespace {

/// Names are all that a checkpoint has.
bool is_embedding(std::string_view module) {
  const std::string_view leaf = module.substr(module.rfind('.') + 1);
  return leaf.find("emb") != std::string_view::npos || leaf == "wte" || leaf == "wpe";
}

}  // namespace

std::string linear_of(const TensorSpec& tensor) {
  constexpr std::string_view kSuffix = ".weight";
  if (!tensor.name.ends_with(kSuffix) || tensor.shape.size() != 2) {
    return {};
  }
  std::string module = tensor.name.substr(0, tensor.name.size() - kSuffix.size());
  return is_embedding(module) ? std::string() : module;
}

}  // namespace rotor
