#include "model/config_mixture.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/config_attention.h"

namespace rotor {
namespace {

constexpr int64_t kMostExperts = 1 << 16;

/// By layer: the last of every `step`.
std::vector<bool> every_nth(int64_t layers, int64_t step) {
  std::vector<bool> found;
  for (int64_t layer = 0; layer < layers; ++layer) {
    found.push_back((layer + 1) % step == 0);
  }
  return found;
}

/// An array of layers' numbers.
Result<std::vector<int64_t>> parse_layer_list(const JsonObject& object, const std::string& key,
                                              int64_t layers) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<const nlohmann::json*> entries, object.array(key));
  std::vector<int64_t> listed;
  for (const nlohmann::json* entry : entries) {
    listed.push_back(entry->is_number_integer() ? entry->get<int64_t>() : -1);
    if (listed.back() < 0 || listed.back() >= layers) {
      return object.error(key, "its element " + brief_json(*entry) +
                                   " is no layer: they are 0 to " + std::to_string(layers - 1) +
                                   " (num_hidden_layers)");
    }
  }
  return listed;
}

/// Which layers are mixtures: every `decoder_sparse_step`-th but those of `mlp_only_layers`.
Result<std::vector<bool>> parse_layers(const JsonObject& object, int64_t layers) {
  constexpr const char* kDense = "mlp_only_layers";
  ROTOR_ASSIGN_OR_RETURN(const int64_t step,
                         object.integer_or("decoder_sparse_step", 1, 1, kMostSize));
  std::vector<bool> mixtures = every_nth(layers, step);
  if (object.has(kDense)) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<int64_t> dense,
                           parse_layer_list(object, kDense, layers));
    for (const int64_t layer : dense) {
      mixtures[static_cast<size_t>(layer)] = false;
    }
  }
  return mixtures;
}

/// A key that names a rule of which there is one.
Status expect_rule(const JsonObject& object, const std::string& key, const std::string& rule) {
  ROTOR_ASSIGN_OR_RETURN(const std::string found, object.string_or(key, rule));
  return found == rule
             ? Status()
             : object.unsupported(key, "supported is " + rule + " alone", "UNSUPPORTED_ROUTING");
}

/// Sigmoid scores with corrections, chosen from the best groups of experts.
Status parse_deepseek_routing(const JsonObject& object, const Mixture& mixture,
                              RoutingRule& routing) {
  constexpr const char* kGroups = "n_group";
  constexpr const char* kChosen = "topk_group";
  ROTOR_RETURN_IF_ERROR(expect_rule(object, "scoring_func", "sigmoid"));
  ROTOR_RETURN_IF_ERROR(expect_rule(object, "topk_method", "noaux_tc"));
  routing.score = ScoreRule::kSigmoid;
  routing.corrected = true;
  ROTOR_ASSIGN_OR_RETURN(routing.groups,
                         object.integer_or(kGroups, mixture.default_groups, 1, kMostExperts));
  if (routing.experts % routing.groups != 0 || routing.experts / routing.groups < 2) {
    return object.error(kGroups, "it must cut n_routed_experts (" +
                                     std::to_string(routing.experts) +
                                     ") into equal groups of two at least");
  }
  ROTOR_ASSIGN_OR_RETURN(
      routing.groups_chosen,
      object.integer_or(kChosen, mixture.default_groups_chosen, 1, kMostExperts));
  if (routing.groups_chosen > routing.groups) {
    return object.error(kChosen,
                        "it must be at most n_group, which is " + std::to_string(routing.groups));
  }
  const int64_t candidates = routing.experts / routing.groups * routing.groups_chosen;
  if (routing.per_token > candidates) {
    return object.error("num_experts_per_tok",
                        "the groups that a token goes to (topk_group) have " +
                            std::to_string(candidates) + " experts");
  }
  ROTOR_ASSIGN_OR_RETURN(const double scale,
                         object.positive_number_or("routed_scaling_factor", mixture.default_scale));
  routing.scale = static_cast<float>(scale);
  return {};
}

/// Dense layers first, then a mixture in every `moe_layer_freq`-th, unless each is named; a shared
/// expert in each.
Status parse_deepseek_layers(const JsonObject& object, const Mixture& mixture,
                             ModelConfig& config) {
  ROTOR_ASSIGN_OR_RETURN(
      const int64_t dense,
      object.integer_or("first_k_dense_replace", mixture.default_dense_layers, 0, kMostSize));
  ROTOR_ASSIGN_OR_RETURN(const int64_t step, object.integer_or("moe_layer_freq", 1, 1, kMostSize));
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    config.mixture_layers[static_cast<size_t>(layer)] = layer >= dense && layer % step == 0;
  }
  if (constexpr const char* kTypes = "mlp_layer_types";
      mixture.reads_mlp_types && object.has(kTypes)) {
    ROTOR_ASSIGN_OR_RETURN(
        config.mixture_layers,
        parse_types(object, kTypes, config.num_layers, "dense", "sparse", "UNSUPPORTED_CONFIG"));
  }
  constexpr const char* kShared = "n_shared_experts";
  // null means none, a missing key the family's default.
  ROTOR_ASSIGN_OR_RETURN(
      const int64_t shared,
      object.integer_or(kShared, object.contains(kShared) ? 0 : 1, 0, kMostExperts));
  config.shared_features = shared * config.expert_features;
  return {};
}

/// One expert a token, in the layers of `moe_layers` or in every so many-th.
Status parse_llama4_keys(const JsonObject& object, ModelConfig& config) {
  constexpr const char* kLayers = "moe_layers";
  if (config.routing.per_token != 1) {
    return object.unsupported("num_experts_per_tok", "this model type is read with 1 alone",
                              "UNSUPPORTED_ROUTING");
  }
  // Over one expert a weight that is normalized is 1.
  config.routing.score = ScoreRule::kSigmoid;
  config.routing.scales_inputs = true;
  if (!object.has(kLayers)) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t step,
                           object.integer_or("interleave_moe_layer_step", 1, 1, kMostSize));
    config.mixture_layers = every_nth(config.num_layers, step);
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<int64_t> listed,
                         parse_layer_list(object, kLayers, config.num_layers));
  config.mixture_layers.assign(config.mixture_layers.size(), false);
  for (const int64_t layer : listed) {
    config.mixture_layers[static_cast<size_t>(layer)] = true;
  }
  return {};
}

}  // namespace

Status parse_mixture(const JsonObject& object, const Family& family, ModelConfig& config) {
  if (family.mixture == nullptr) {
    return {};
  }
  const Mixture& mixture = *family.mixture;
  // transformers 5 writes num_local_experts for most families, and reads either.
  const char* common = object.has("num_experts") ? "num_experts" : "num_local_experts";
  const std::string count(mixture.count_key.empty() ? common : mixture.count_key);
  ROTOR_ASSIGN_OR_RETURN(config.routing.experts, object.integer(count, 1, kMostExperts));
  // transformers takes either name for any family, and the last one in the file where it has both.
  for (const char* other : {"num_experts", "num_local_experts"}) {
    ROTOR_ASSIGN_OR_RETURN(const int64_t same,
                           object.integer_or(other, config.routing.experts, 1, kMostExperts));
    if (same != config.routing.experts) {
      return object.error(other, "it must be " + count + ", which is " +
                                     std::to_string(config.routing.experts) + ", or be left out");
    }
  }
  ROTOR_ASSIGN_OR_RETURN(config.routing.per_token,
                         object.integer("num_experts_per_tok", 1, kMostExperts));
  if (config.routing.per_token > config.routing.experts) {
    return object.error("num_experts_per_tok", "it must be at most " + count + ", which is " +
                                                   std::to_string(config.routing.experts));
  }
  config.routing.normalize = true;
  if (mixture.reads_normalize) {
    ROTOR_ASSIGN_OR_RETURN(config.routing.normalize,
                           object.boolean_or("norm_topk_prob", !object.contains("norm_topk_prob") &&
                                                                   mixture.default_normalize));
  }
  ROTOR_ASSIGN_OR_RETURN(config.expert_features,
                         object.integer(std::string(mixture.size_key), 1, kMostSize));
  config.mixture_layers.assign(static_cast<size_t>(config.num_layers), true);
  if (mixture.reads_dense_layers) {
    ROTOR_ASSIGN_OR_RETURN(config.mixture_layers, parse_layers(object, config.num_layers));
  }
  if (mixture.reads_deepseek_keys) {
    ROTOR_RETURN_IF_ERROR(parse_deepseek_routing(object, mixture, config.routing));
    ROTOR_RETURN_IF_ERROR(parse_deepseek_layers(object, mixture, config));
  }
  if (mixture.reads_minimax_keys) {
    ROTOR_RETURN_IF_ERROR(expect_rule(object, "scoring_func", "sigmoid"));
    config.routing.score = ScoreRule::kSigmoid;
    ROTOR_ASSIGN_OR_RETURN(config.routing.corrected, object.boolean_or("use_routing_bias", true));
  }
  if (mixture.reads_llama4_keys) {
    ROTOR_RETURN_IF_ERROR(parse_llama4_keys(object, config));
  }
  if (!mixture.shared_size_key.empty()) {
    ROTOR_ASSIGN_OR_RETURN(config.shared_features,
                           object.integer(std::string(mixture.shared_size_key), 1, kMostSize));
  }
  return {};
}

}  // namespace rotor
