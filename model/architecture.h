// The description that the decoder, the plan and the coordinator read instead of knowing families:
// a model is a chain of layers, a layer a chain of stages, a stage the linears that share one input
// (design.md section 4). A family is a row in model/families.cpp that builds this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "quant/base/status.h"

namespace rotor {

/// What happens around the linears of a stage. x is the residual stream [tokens, hidden].
enum class StageKind {
  kAttentionIn,   // in: norm(x). q, k, v; after: RoPE, causal attention
  kAttentionOut,  // in: attention output. o; after: x += o
  kMlpIn,         // in: norm(x). gate, up; after: act(gate) * up
  kMlpOut,        // in: the product. down; after: x += down
};

/// A linear module. Its weight is `name` + ".weight" [out_features, in_features].
struct Linear {
  std::string name;  // full module name: "model.layers.3.self_attn.q_proj"
  int64_t out_features = 0;
  int64_t in_features = 0;
  bool has_bias = false;
  int fuse_group = 0;  // linears of a stage with the same number are fused by engines
};

struct Stage {
  StageKind kind = StageKind::kAttentionIn;
  std::string norm;  // weight name of the norm before it; empty: none
  std::vector<Linear> linears;
  int64_t in_features = 0;
};

struct Layer {
  int index = 0;
  std::string prefix;  // "model.layers.3."
  std::vector<Stage> stages;
};

struct Architecture {
  ModelConfig config;
  std::string embedding;    // tensor name [vocab, hidden]
  std::string final_norm;   // tensor name [hidden]
  std::string head;         // module name of the output head, "lm_head"
  std::string head_weight;  // tensor that it reads; the embedding's where they are tied
  std::vector<Layer> layers;
};

/// Builds the description. Errors: UNIMPLEMENTED for a model_type that has no row (names it and
/// lists those that have), INVALID_ARGUMENT for a config that contradicts itself.
Result<Architecture> describe(const ModelConfig& config);

/// The model types that have a row, sorted.
std::vector<std::string> supported_model_types();

}  // namespace rotor
