#include "model/architecture.h"

#include <utility>

#include "model/families.h"
#include "model/layer_builder.h"

namespace rotor {
namespace {

/// parse_model_config holds each key to its range; this is what they must be to each other for a
/// config that was not parsed but put together.
Status check_sizes(const ModelConfig& config) {
  if (config.num_layers >= 1 && config.num_heads >= 1 && config.num_kv_heads >= 1 &&
      config.num_heads % config.num_kv_heads == 0 && config.head_dim >= 2 &&
      config.head_dim % 2 == 0 && config.hidden_size >= 1 && config.intermediate_size >= 1 &&
      config.vocab_size >= 1) {
    return {};
  }
  return invalid_argument(
             "the model's sizes contradict each other: " + std::to_string(config.num_layers) +
             " layers, " + std::to_string(config.num_heads) + " heads over " +
             std::to_string(config.num_kv_heads) + " key/value heads of " +
             std::to_string(config.head_dim) + ", hidden size " +
             std::to_string(config.hidden_size) + ", intermediate size " +
             std::to_string(config.intermediate_size) + ", vocabulary of " +
             std::to_string(config.vocab_size))
      .with_reason("BAD_CONFIG");
}

Layer describe_layer(const LayerPlace& place) {
  Layer layer{place.index, place.prefix(), {}};
  if (place.config.has_delta(place.index)) {
    layer.stages = delta_stages(place);
  } else {
    layer.stages =
        place.family.latent_attention ? latent_attention_stages(place) : attention_stages(place);
  }
  const bool mixture = place.config.is_mixture(place.index);
  for (Stage& stage : mixture ? mixture_stages(place) : mlp_stages(place)) {
    layer.stages.push_back(std::move(stage));
  }
  return layer;
}

}  // namespace

bool reads_residual(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::kAttentionIn:
    case StageKind::kLatentIn:
    case StageKind::kDeltaIn:
    case StageKind::kMlpIn:
    case StageKind::kExpertsIn:
      return true;
    case StageKind::kLatentQuery:
    case StageKind::kLatentKeyValue:
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
    case StageKind::kSharedOut:
    case StageKind::kExpertsOut:
      break;
  }
  return false;
}

std::vector<CarryPart> carried_behind(const Layer& layer, size_t stage) {
  std::vector<CarryPart> carried;
  for (size_t s = 0; s <= stage; ++s) {
    for (const CarrySlot slot : layer.stages[s].takes) {
      std::erase_if(carried, [&](const CarryPart& part) { return part.slot == slot; });
    }
    const std::vector<CarryPart>& left = layer.stages[s].leaves;
    carried.insert(carried.end(), left.begin(), left.end());
  }
  return carried;
}

std::vector<const Norm*> norms_of(const Stage& stage) {
  std::vector<const Norm*> norms;
  for (const Norm* norm : {&stage.norm, &stage.attention.q_norm, &stage.attention.k_norm,
                           &stage.delta.norm, &stage.post_norm}) {
    if (!norm->empty()) {
      norms.push_back(norm);
    }
  }
  return norms;
}

Result<Architecture> describe(const ModelConfig& config, const TensorNames& names) {
  ROTOR_ASSIGN_OR_RETURN(const Family* family, find_family(config.model_type));
  ROTOR_RETURN_IF_ERROR(check_sizes(config));
  Architecture architecture;
  architecture.config = config;
  architecture.embedding = names.decoder + "embed_tokens.weight";
  architecture.final_norm = make_norm(*family, names.decoder + "norm", config.hidden_size);
  architecture.head = names.head;
  architecture.head_weight =
      config.tie_word_embeddings ? architecture.embedding : architecture.head + ".weight";
  architecture.layers.reserve(static_cast<size_t>(config.num_layers));
  for (int index = 0; index < static_cast<int>(config.num_layers); ++index) {
    architecture.layers.push_back(describe_layer({config, *family, names.decoder, index}));
  }
  return architecture;
}

}  // namespace rotor
