#include "model/config_mixture.h"

#include <string>
#include <vector>

namespace rotor {
namespace {

constexpr int64_t kMostExperts = 1 << 16;
constexpr int64_t kMostSize = int64_t{1} << 31;

/// Which layers are mixtures: every `decoder_sparse_step`-th but those of `mlp_only_layers`.
Result<std::vector<bool>> parse_layers(const JsonObject& object, int64_t layers) {
  constexpr const char* kDense = "mlp_only_layers";
  ROTOR_ASSIGN_OR_RETURN(const int64_t step,
                         object.integer_or("decoder_sparse_step", 1, 1, kMostSize));
  std::vector<bool> mixtures;
  for (int64_t layer = 0; layer < layers; ++layer) {
    mixtures.push_back((layer + 1) % step == 0);
  }
  if (object.has(kDense)) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> dense, object.array(kDense));
    for (const nlohmann::json* entry : dense) {
      const int64_t layer = entry->is_number_integer() ? entry->get<int64_t>() : -1;
      if (layer < 0 || layer >= layers) {
        return object.error(kDense, "its element " + brief_json(*entry) +
                                        " is no layer: they are 0 to " +
                                        std::to_string(layers - 1) + " (num_hidden_layers)");
      }
      mixtures[static_cast<size_t>(layer)] = false;
    }
  }
  return mixtures;
}

}  // namespace

Status parse_mixture(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (family.mixture == nullptr) {
    return {};
  }
  const Mixture& mixture = *family.mixture;
  // transformers 5 writes num_local_experts for every family, and reads either.
  const char* count = object.has("num_experts") ? "num_experts" : "num_local_experts";
  ROTOR_ASSIGN_OR_RETURN(config.routing.experts, object.integer(count, 1, kMostExperts));
  ROTOR_ASSIGN_OR_RETURN(config.routing.per_token,
                         object.integer("num_experts_per_tok", 1, kMostExperts));
  if (config.routing.per_token > config.routing.experts) {
    return object.error("num_experts_per_tok", "it must be at most " + std::string(count) +
                                                   ", which is " +
                                                   std::to_string(config.routing.experts));
  }
  config.routing.normalize = true;
  if (mixture.reads_normalize) {
    ROTOR_ASSIGN_OR_RETURN(config.routing.normalize, object.boolean_or("norm_topk_prob", false));
  }
  ROTOR_ASSIGN_OR_RETURN(config.expert_features,
                         object.integer(std::string(mixture.size_key), 1, kMostSize));
  config.mixture_layers.assign(static_cast<size_t>(config.num_layers), true);
  if (mixture.reads_dense_layers) {
    ROTOR_ASSIGN_OR_RETURN(config.mixture_layers, parse_layers(object, config.num_layers));
  }
  return {};
}

}  // namespace rotor
