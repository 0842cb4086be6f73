#include "model/config_delta.h"

#include <string>
#include <utility>

#include "model/config_attention.h"

namespace rotor {
namespace {

constexpr int64_t kMostHeads = 1 << 16;
constexpr int64_t kMostHeadDim = 1 << 10;
constexpr int64_t kMostTaps = 64;

Result<std::vector<bool>> parse_layers(const JsonObject& object, int64_t layers) {
  if (object.has("layer_types")) {
    return parse_layer_types(object, layers, "linear_attention");
  }
  ROTOR_ASSIGN_OR_RETURN(const int64_t interval,
                         object.integer_or("full_attention_interval", 4, 1, kMostSize));
  std::vector<bool> found;
  for (int64_t layer = 0; layer < layers; ++layer) {
    found.push_back((layer + 1) % interval != 0);
  }
  return found;
}

}  // namespace

Status parse_delta(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (family.delta == DeltaProjections::kNone) {
    return {};
  }
  constexpr const char* kValueHeads = "linear_num_value_heads";
  DeltaConfig delta;
  ROTOR_ASSIGN_OR_RETURN(delta.key_heads,
                         object.integer_or("linear_num_key_heads", 16, 1, kMostHeads));
  ROTOR_ASSIGN_OR_RETURN(delta.value_heads, object.integer_or(kValueHeads, 32, 1, kMostHeads));
  if (delta.value_heads % delta.key_heads != 0) {
    return object.error(kValueHeads, "linear_num_key_heads, which is " +
                                         std::to_string(delta.key_heads) + ", must divide it");
  }
  ROTOR_ASSIGN_OR_RETURN(delta.key_dim,
                         object.integer_or("linear_key_head_dim", 128, 1, kMostHeadDim));
  ROTOR_ASSIGN_OR_RETURN(delta.value_dim,
                         object.integer_or("linear_value_head_dim", 128, 1, kMostHeadDim));
  ROTOR_ASSIGN_OR_RETURN(delta.taps, object.integer_or("linear_conv_kernel_dim", 4, 1, kMostTaps));
  ROTOR_ASSIGN_OR_RETURN(delta.layers, parse_layers(object, config.num_layers));
  config.delta = std::move(delta);
  return {};
}

}  // namespace rotor
