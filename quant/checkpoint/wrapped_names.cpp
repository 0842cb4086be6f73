#include "quant/checkpoint/wrapped_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace rotor {
namespace {

struct Prefix {
  std::string_view stored;
  std::string_view loaded;
};

// The first that fits counts.
constexpr std::array kPrefixes = {
    Prefix{"language_model.lm_head", "lm_head"},
    Prefix{"language_model.model.", "model.language_model."},
    Prefix{"vision_tower.", "model.vision_tower."},
    Prefix{"multi_modal_projector.", "model.multi_modal_projector."},
    Prefix{"visual.", "model.visual."},
    Prefix{"model.layers.", "model.language_model.layers."},
};

}  // namespace

std::string name_in_transformers(const std::string& stored) {
  const auto found = std::find_if(kPrefixes.begin(), kPrefixes.end(), [&](const Prefix& prefix) {
    return stored.starts_with(prefix.stored);
  });
  return found == kPrefixes.end()
             ? stored
             : std::string(found->loaded) + stored.substr(found->stored.size());
}

}  // namespace rotor
