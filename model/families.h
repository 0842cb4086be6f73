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
  kEveryLayerByType,  // all
  kEveryLayerIfUsed,  // with `use_sliding_window`: all, and `layer_types` is not read
  kFromLayer,         // with `use_sliding_window`: those from `max_window_layers` on
  kAllButEveryNth,    // all but every `sliding_window_pattern`-th
  kRotatedChunks,     // those with RoPE; `attention_chunk_size`, which does not slide
  kUnrotatedIfUsed,   // with `use_sliding_window`: those without RoPE
};

enum class BiasRule {
  kNone,
  kByKey,               // `attention_bias`: on q, k, v and o
  kByTwoKeys,           // `attention_bias`: on q, k and v; `attention_out_bias`: on o
  kQueryKeyValueByKey,  // `attention_bias`: on q, k and v, never on o
  kQueryKeyValue,       // always on q, k and v, never on o
};

enum class QueryKeyNorm {
  kNone,
  kEachHead,
  kWholeProjection,
  kUnitRotated,  // Attention::unit_norms, in layers with RoPE
};

/// How the projections of a gated delta net are cut (DeltaNet::by_key_head).
enum class DeltaProjections { kNone, kByKeyHead, kApart };

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
  // Where a checkpoint holds all experts at once (gate_up_proj and down_proj below "experts.").
  std::string_view stacked_block = "mlp";  // in place of `block`
  bool stacks_interleaved = false;
  std::string_view shared = {};       // the expert that all tokens go to; empty: there is none
  std::string_view shared_gate = {};  // what scales its output; empty: nothing does
  std::string_view correction = {};   // RoutingRule::corrected; empty: none
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
  bool reads_mlp_types = false;           // `mlp_layer_types`, before first_k_dense_replace
  int64_t default_groups = 8;             // of them: `n_group`
  int64_t default_groups_chosen = 4;      // `topk_group`
  double default_scale = 2.5;             // `routed_scaling_factor`
  int64_t default_dense_layers = 3;       // `first_k_dense_replace`
  bool reads_minimax_keys = false;        // `scoring_func`, `use_routing_bias`
  bool reads_llama4_keys = false;         // `moe_layers`, `interleave_moe_layer_step`
  std::string_view shared_size_key = {};  // width of the shared expert; empty: as above, or none
  bool default_normalize = false;         // where `norm_topk_prob` is missing
};

inline constexpr Mixture kQwenMixture = {.reads_normalize = true, .reads_dense_layers = true};
inline constexpr Mixture kQwenVlMixture = {.reads_dense_layers = true};
inline constexpr Mixture kMixtralMixture = {.block = "block_sparse_moe",
                                            .gate = "w1",
                                            .up = "w3",
                                            .down = "w2",
                                            .size_key = "intermediate_size"};

inline constexpr Mixture kGptOssMixture = {.router = "router",
                                           .router_bias = true,
                                           .bias = true,
                                           .stacks_interleaved = true,
                                           .size_key = "intermediate_size"};

/// What gpt-oss takes where config.json has neither rope_parameters nor rope_scaling.
inline constexpr std::string_view kGptOssRope =
    R"({"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "truncate": false, "original_max_position_embeddings": 4096})";

inline constexpr Mixture kDeepseekMixture = {.shared = "shared_experts",
                                             .correction = "gate.e_score_correction_bias",
                                             .count_key = "n_routed_experts",
                                             .reads_normalize = true,
                                             .reads_deepseek_keys = true,
                                             .default_normalize = true};

inline constexpr Mixture kGlmMixture = {.shared = "shared_experts",
                                        .correction = "gate.e_score_correction_bias",
                                        .count_key = "n_routed_experts",
                                        .reads_normalize = true,
                                        .reads_deepseek_keys = true,
                                        .default_groups = 1,
                                        .default_groups_chosen = 1,
                                        .default_scale = 1.0,
                                        .default_dense_layers = 1,
                                        .default_normalize = true};

inline constexpr Mixture kGlmLiteMixture = [] {
  Mixture mixture = kGlmMixture;
  mixture.reads_mlp_types = true;
  mixture.default_scale = 1.8;
  return mixture;
}();

inline constexpr Mixture kDeepseek32Mixture = [] {
  Mixture mixture = kDeepseekMixture;
  mixture.reads_mlp_types = true;
  return mixture;
}();

inline constexpr Mixture kGlmDsaMixture = [] {
  Mixture mixture = kDeepseek32Mixture;
  mixture.default_groups = 1;
  mixture.default_groups_chosen = 1;
  return mixture;
}();

inline constexpr Mixture kMinimaxMixture = {.block = "block_sparse_moe",
                                            .gate = "w1",
                                            .up = "w3",
                                            .down = "w2",
                                            .correction = "e_score_correction_bias",
                                            .size_key = "intermediate_size",
                                            .reads_minimax_keys = true};

/// An expert that all tokens go to, scaled by a gate of its own.
inline constexpr Mixture kQwenNextMixture = {.shared = "shared_expert",
                                             .shared_gate = "shared_expert_gate",
                                             .reads_normalize = true,
                                             .reads_dense_layers = true,
                                             .shared_size_key = "shared_expert_intermediate_size",
                                             .default_normalize = true};
inline constexpr Mixture kQwen35Mixture = {.shared = "shared_expert",
                                           .shared_gate = "shared_expert_gate",
                                           .shared_size_key = "shared_expert_intermediate_size"};

inline constexpr Mixture kLlama4Mixture = {.block = "feed_forward",
                                           .router = "router",
                                           .stacked_block = "feed_forward",
                                           .shared = "shared_expert",
                                           .size_key = "intermediate_size",
                                           .reads_llama4_keys = true,
                                           .shared_size_key = "intermediate_size"};

/// The indexer of a sparse latent attention, where config.json leaves it open.
struct Indexing {
  int64_t heads = 64;      // `index_n_heads`
  int64_t head_dim = 128;  // `index_head_dim`
  int64_t chosen = 2048;   // `index_topk`
  // Layers take an indexer before them: `indexer_types`, else `index_topk_pattern`, else
  // `index_topk_freq` and `index_skip_topk_offset`.
  bool shared = false;
};

inline constexpr Indexing kDeepseekIndexing = {};
inline constexpr Indexing kGlmIndexing = {.heads = 32, .shared = true};

/// Sizes where config.json has none; 0: it must.
struct DefaultSizes {
  int64_t heads = 0;
  int64_t kv_heads = 0;  // 0: as many as heads
  int64_t head_dim = 0;  // 0: hidden_size over heads
  int64_t vocabulary = 0;
  int64_t positions = 0;
};

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
  const Indexing* indexing = nullptr;  // of a latent attention that is sparse
  bool interleaved_rope = false;       // Attention::interleaved; a latent attention has its key
  std::string_view mlp = "mlp";        // a dense MLP's name below a layer
  bool gated_attention = false;        // Attention::gated
  DeltaProjections delta = DeltaProjections::kNone;  // of layers of type linear_attention
  const Mixture* mixture = nullptr;                  // null: every MLP is dense
  // How the keys are read.
  DefaultSizes sizes = {};
  bool head_dim_is_rotary = false;  // `head_dim` says what `qk_rope_head_dim` says
  std::string_view mlp_size_key = "intermediate_size";  // width of a dense MLP
  int64_t default_mlp_size = 0;                         // 0: it must be given
  bool reads_query_key_norm = false;  // `use_qk_norm`; else there is the norm that is named above
  bool default_query_key_norm = false;
  bool reads_query_growth = false;    // `attn_temperature_tuning`, `floor_scale`, `attn_scale`
  bool reads_no_rope_layers = false;  // `no_rope_layers`, `no_rope_layer_interval`
  BiasRule attention_bias = BiasRule::kNone;
  bool default_attention_bias = false;
  bool reads_mlp_bias = false;
  WindowRule windows = WindowRule::kNone;
  int64_t default_sliding_window = 0;  // 0: no window
  int64_t default_window_layers = 0;   // `max_window_layers`
  int64_t default_window_pattern = 0;  // `sliding_window_pattern`
  bool reads_partial_rotary = false;
  double default_rotary_share = 1.0;  // `partial_rotary_factor`
  bool reads_rotary_dim = false;      // `rotary_dim`: columns of a head, in place of a share
  bool reads_mrope = false;           // positions of pictures, all three the same for text
  bool reads_longrope = false;
  double default_rope_theta = 10000.0;
  std::string_view default_rope_scaling = {};  // a JSON object; empty: none
  double default_local_rope_theta = 0.0;       // of layers with a window; 0: as all others
  bool local_rope_unscaled = false;  // layers with a window: the same theta, and no rope_scaling
  std::string_view activation_key = "hidden_act";
  std::string_view default_activation = "silu";
  bool clamps_swiglu = false;  // and reads `swiglu_alpha`, `swiglu_limit`
  double default_rms_norm_eps = 1e-6;
  bool default_tied = false;
  DType default_dtype = DType::kF32;
  double default_query_scalar = 0.0;   // `query_pre_attn_scalar`; 0: the key is not read
  bool reads_attention_cap = false;    // `attn_logit_softcapping`
  bool reads_logit_cap = false;        // `final_logit_softcapping`
  double default_attention_cap = 0.0;  // 0: none
  double default_logit_cap = 0.0;
  // `embedding_multiplier`, `attention_multiplier`, `residual_multiplier`, `logits_scaling`
  bool reads_granite_scales = false;
};

/// Error: UNIMPLEMENTED for a model type that has no row, with those that have.
Result<const Family*> find_family(std::string_view model_type);

}  // namespace rotor
