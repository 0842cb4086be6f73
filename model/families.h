// The table of model families. A row says what config.json leaves unsaid: how the family's own code
// reads the keys, and how its layers are made. Only model/ reads it.
//
// Defaults are what the configuration classes of transformers take for a key that is missing.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/config.h"
#include "quant/base/status.h"

namespace rotor {

/// Which layers have the window `sliding_window`, where config.json has no `layer_types`.
enum class WindowRule {
  kNone,              // no layer, whatever the key says
  kEveryLayer,        // all, and `layer_types` is not read
  kEveryLayerIfUsed,  // with `use_sliding_window`: all, and `layer_types` is not read
  kFromLayer,         // with `use_sliding_window`: those from `max_window_layers` on
  kAllButEveryNth,    // all but every `sliding_window_pattern`-th
};

enum class BiasRule {
  kNone,
  kByKey,          // `attention_bias`: on q, k, v and o
  kQueryKeyValue,  // always on q, k and v, never on o
};

enum class QueryKeyNorm { kNone, kEachHead, kWholeProjection };

/// What a layer calls its norms; empty: it has none there. "Behind" norms what is added to the
/// residual stream.
struct NormNames {
  std::string_view before_attention = {};
  std::string_view behind_attention = {};
  std::string_view before_mlp = {};
  std::string_view behind_mlp = {};
};

inline constexpr NormNames kNormsBefore = {.before_attention = "input_layernorm",
                                           .before_mlp = "post_attention_layernorm"};
inline constexpr NormNames kNormsBehind = {.behind_attention = "post_attention_layernorm",
                                           .behind_mlp = "post_feedforward_layernorm"};
inline constexpr NormNames kNormsAround = {.before_attention = "input_layernorm",
                                           .behind_attention = "post_attention_layernorm",
                                           .before_mlp = "pre_feedforward_layernorm",
                                           .behind_mlp = "post_feedforward_layernorm"};

/// A mixture of experts beside a family's dense MLPs.
struct Mixture {
  // Names below a layer. The router and expert 7's gate are, for example, mlp.gate and
  // mlp.experts.7.gate_proj.
  std::string_view block = "mlp";
  std::string_view gate = "gate_proj";
  std::string_view up = "up_proj";
  std::string_view down = "down_proj";
  std::string_view router = "gate";
  bool router_bias = false;
  bool bias = false;  // of the experts' linears
  // Tensors below the block's "experts." that hold those of all experts at once; empty: none.
  std::string_view stacked_in = {};
  std::string_view stacked_out = {};
  std::string_view shared = {};      // the expert that all tokens go to; empty: there is none
  std::string_view correction = {};  // below the router (RoutingRule::corrected); empty: none
  // How the keys are read.
  std::string_view count_key = {};                      // experts; empty: by either common name
  std::string_view size_key = "moe_intermediate_size";  // width of an expert
  // `norm_topk_prob`; else weights are normalized, which is the same as a softmax over the logits
  // of the chosen experts alone.
  bool reads_normalize = false;
  bool reads_dense_layers = false;  // `mlp_only_layers`, `decoder_sparse_step`
  // `scoring_func`, `n_group`, `topk_group`, `routed_scaling_factor`, `first_k_dense_replace`,
  // `moe_layer_freq`, `n_shared_experts`.
  bool reads_deepseek_keys = false;
  bool default_normalize = false;  // where `norm_topk_prob` is missing
};

inline constexpr Mixture kQwenMixture = {.reads_normalize = true, .reads_dense_layers = true};
inline constexpr Mixture kMixtralMixture = {.block = "block_sparse_moe",
                                            .gate = "w1",
                                            .up = "w3",
                                            .down = "w2",
                                            .size_key = "intermediate_size"};

inline constexpr Mixture kGptOssMixture = {.router = "router",
                                           .router_bias = true,
                                           .bias = true,
                                           .stacked_in = "gate_up_proj",
                                           .stacked_out = "down_proj",
                                           .size_key = "intermediate_size"};

/// What gpt-oss takes where config.json has neither rope_parameters nor rope_scaling.
inline constexpr std::string_view kGptOssRope =
    R"({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "truncate": false, "original_max_position_embeddings": 4096})";

inline constexpr Mixture kDeepseekMixture = {.shared = "shared_experts",
                                             .correction = "e_score_correction_bias",
                                             .count_key = "n_routed_experts",
                                             .reads_normalize = true,
                                             .reads_deepseek_keys = true,
                                             .default_normalize = true};

struct Family {
  std::string_view model_type;
  // How a layer is made.
  NormNames norms = kNormsBefore;
  float norm_offset = 0.0F;  // norms multiply by this plus the weight
  QueryKeyNorm query_key_norm = QueryKeyNorm::kNone;
  bool fused = false;             // qkv_proj and gate_up_proj
  bool scales_embedding = false;  // by sqrt(hidden_size)
  bool attention_sinks = false;   // a learned score a head that takes part in the softmax
  bool latent_attention = false;
  const Mixture* mixture = nullptr;  // null: every MLP is dense
  // How the keys are read.
  BiasRule attention_bias = BiasRule::kNone;
  bool default_attention_bias = false;
  bool reads_mlp_bias = false;
  WindowRule windows = WindowRule::kNone;
  int64_t default_sliding_window = 0;  // 0: no window
  int64_t default_window_layers = 0;   // `max_window_layers`
  int64_t default_window_pattern = 0;  // `sliding_window_pattern`
  bool reads_partial_rotary = false;
  bool reads_longrope = false;
  double default_rope_theta = 10000.0;
  std::string_view default_rope_scaling = {};  // a JSON object; empty: none
  double default_local_rope_theta = 0.0;       // 0: layers with a window are rotated as all others
  std::string_view activation_key = "hidden_act";
  std::string_view default_activation = "silu";
  bool clamps_swiglu = false;  // and reads `swiglu_alpha`, `swiglu_limit`
  double default_rms_norm_eps = 1e-6;
  bool default_tied = false;
  std::string_view default_dtype = "float32";
  double default_query_scalar = 0.0;   // `query_pre_attn_scalar`; 0: the key is not read
  bool reads_attention_cap = false;    // `attn_logit_softcapping`
  bool reads_logit_cap = false;        // `final_logit_softcapping`
  double default_attention_cap = 0.0;  // 0: none
  double default_logit_cap = 0.0;
};

/// Error: UNIMPLEMENTED for a model type that has no row, with those that have.
Result<const Family*> find_family(std::string_view model_type);

}  // namespace rotor
