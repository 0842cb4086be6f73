// The stages of a layer, from a family's row and a model's config: attention and MLP apart, so that
// a family may put either beside something else.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/families.h"

namespace rotor {

struct LayerPlace {
  const ModelConfig& config;
  const Family& family;
  const std::string& decoder;  // TensorNames::decoder
  int index = 0;

  std::string prefix() const { return decoder + "layers." + std::to_string(index) + "."; }
};

/// A norm of the family's kind over `features` columns; none where `module` is empty.
Norm make_norm(const Family& family, const std::string& module, int64_t features);

/// kAttentionIn and kAttentionOut.
std::vector<Stage> attention_stages(const LayerPlace& place);

/// kLatentIn, kLatentQuery (where queries have a latent), kLatentKeyValue and kAttentionOut.
std::vector<Stage> latent_attention_stages(const LayerPlace& place);

/// kDeltaIn and kAttentionOut.
std::vector<Stage> delta_stages(const LayerPlace& place);

/// kMlpIn and kMlpOut of a dense MLP.
std::vector<Stage> mlp_stages(const LayerPlace& place);

/// kExpertsIn and kExpertsOut of a mixture; before them kMlpIn and kSharedOut of an expert that all
/// tokens go to, where it has one. x stays as it is until both are there to be added.
std::vector<Stage> mixture_stages(const LayerPlace& place);

}  // namespace rotor
