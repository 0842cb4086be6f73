// config.json of a model directory, as transformers 4 and 5 write it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/routing_rule.h"
#include "model/stored_form.h"
#include "quant/base/dtype.h"
#include "quant/base/status.h"

namespace rotor {

enum class RopeType { kDefault, kLinear, kLlama3, kLongRope, kYarn };

/// Rotary embedding: transformers 4 `rope_theta` + `rope_scaling`, transformers 5
/// `rope_parameters`.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  double rotary_share = 1.0;      // of a head's columns, from its first on; the others stay
  double factor = 1.0;            // linear, llama3, yarn
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;  // llama3
  int64_t original_max_position_embeddings = 8192;  // llama3, longrope, yarn
  // Yarn: turns over the original length, from which on a frequency is kept (fast) and up to which
  // it is divided by the factor (slow). Truncated: the places between which it is blended are
  // whole.
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;
  // Longrope: each frequency is divided by its factor, short or long as the sequence is no longer
  // than original_max_position_embeddings or longer.
  std::vector<double> short_factors;
  std::vector<double> long_factors;
  double attention_factor = 1.0;  // of cosines and sines
  double score_factor = 1.0;      // of the scores of latent attention; yarn, `mscale_all_dim`

  /// Columns of a head that are rotated.
  int64_t rotary_features(int64_t head_dim) const {
    return static_cast<int64_t>(static_cast<double>(head_dim) * rotary_share);
  }
};

/// What chooses the tokens that each position of a latent attention attends to (DeepSeek-V3.2,
/// "lightning indexer"): as many as there are, until there are more than it chooses. It is copied.
struct IndexerConfig {
  int64_t chosen = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  std::vector<bool> layers;  // by layer: whether it has its own; the others take the one before
};

/// Latent attention: keys and values, and mostly queries too, are made of a narrow latent that all
/// heads share (DeepSeek-V2, arXiv 2405.04434, section 2.1). A head's query and key are
/// plain_features that no position rotates, then rotary_features; the key's rotary part is the same
/// for all heads.
struct LatentConfig {
  int64_t query_rank = 0;  // 0: queries are made of x itself
  int64_t key_value_rank = 0;
  int64_t plain_features = 0;
  int64_t rotary_features = 0;
  int64_t value_features = 0;
  bool interleaved = true;               // RoPE pairs neighbours, not halves
  std::optional<IndexerConfig> indexer;  // none: a position attends to all before it
};

/// Layers whose attention is a gated delta net (DeltaNet in model/architecture.h).
struct DeltaConfig {
  int64_t key_heads = 0;
  int64_t value_heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  int64_t taps = 0;
  std::vector<bool> layers;  // by layer: whether it is one
};

enum class ActivationKind { kSilu, kGeluTanh, kClampedSwiglu };

/// What a gated MLP makes of its gate and up projections.
struct GatedActivation {
  ActivationKind kind = ActivationKind::kSilu;
  // kClampedSwiglu: gate * sigmoid(alpha * gate) * (up + 1), of a gate of at most `limit` and an up
  // from -limit to limit.
  float alpha = 1.702F;
  float limit = 7.0F;
  bool operator==(const GatedActivation&) const = default;
};

/// Queries grow with the logarithm of their position (arXiv 2501.19399): that at position p,
/// counted from 1, is multiplied by 1 + factor * log(1 + floor(p / interval)).
struct QueryGrowth {
  int64_t interval = 0;  // tokens
  double factor = 0.0;
  bool operator==(const QueryGrowth&) const = default;
};

/// How many tokens a sequence may have, and the key of config.json that says so.
struct SequenceLimit {
  int64_t tokens = 0;
  const char* key = "";
};

/// No count or width that a config.json gives is larger.
inline constexpr int64_t kMostSize = int64_t{1} << 31;

struct ModelConfig {
  std::string model_type;    // of the decoder
  std::string wrapper;       // model_type of the larger model that it is the text part of; or empty
  std::string architecture;  // first of "architectures"; may be empty
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;  // of queries and keys
  std::optional<LatentConfig> latent;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  std::vector<int64_t> windows;  // by layer; empty: no layer has one
  bool chunked = false;          // windows do not slide: they are runs, one behind the other
  std::vector<bool> rotated;     // by layer, whether it has RoPE; empty: all have
  std::optional<QueryGrowth> query_growth;  // of layers without RoPE
  std::optional<DeltaConfig> delta;
  double rms_norm_eps = 1e-6;
  GatedActivation activation;
  RopeConfig rope;
  std::optional<RopeConfig> local_rope;  // of layers with a window, where it is another
  double query_scalar = 0.0;             // scores are divided by its root; 0: head_dim
  double score_scale = 0.0;              // of scores, in place of that; 0: none is given
  double residual_scale = 1.0;           // of what attention and MLP add to the residual stream
  double logit_divisor = 1.0;            // logits are divided by it
  double attention_cap = 0.0;            // soft cap of scores; 0: none
  double logit_cap = 0.0;                // soft cap of logits; 0: none
  float embedding_scale = 1.0F;          // embeddings are multiplied by it
  bool tie_word_embeddings = false;
  bool names_tied = true;  // false: a wrapper, whose own keys say nothing of tie_word_embeddings
  bool attention_bias = false;         // on q, k and v
  bool attention_output_bias = false;  // on o
  bool query_key_norm = true;          // where the family has them
  bool mlp_bias = false;
  RoutingRule routing;               // of layers that are mixtures; without experts: none is
  int64_t expert_features = 0;       // width of an expert, as intermediate_size of a dense MLP
  std::vector<bool> mixture_layers;  // by layer
  int64_t shared_features = 0;       // width of an expert that all tokens go to; 0: there is none
  DType dtype = DType::kBf16;        // the family's default where none is named
  std::optional<DType> named_dtype;  // `dtype` or `torch_dtype`; none: missing or "auto"
  SourceQuantization source_quantization;  // how the checkpoint stores its weights

  /// Columns of a head that RoPE is spoken of in: all, or those it rotates.
  int64_t rope_features() const { return latent ? latent->rotary_features : head_dim; }
  /// What is longer is computed in another way than here.
  SequenceLimit longest_sequence() const {
    const bool indexed =
        latent && latent->indexer && latent->indexer->chosen < max_position_embeddings;
    return indexed ? SequenceLimit{latent->indexer->chosen, "index_topk"}
                   : SequenceLimit{max_position_embeddings, "max_position_embeddings"};
  }
  /// Whether the layer's attention is a gated delta net.
  bool has_delta(int layer) const { return delta && delta->layers[static_cast<size_t>(layer)]; }
  bool is_rotated(int layer) const {
    return rotated.empty() || rotated[static_cast<size_t>(layer)];
  }
  /// Tokens that a position of the layer sees at most, itself included; 0: all before it.
  int64_t window_of(int layer) const {
    return windows.empty() ? 0 : windows[static_cast<size_t>(layer)];
  }
  /// Whether the layer has experts in place of one MLP.
  bool is_mixture(int layer) const {
    return routing.experts > 0 && mixture_layers[static_cast<size_t>(layer)];
  }
};

/// Parses config.json's text; of a larger model's (model/wrappers.h), what it says of its text
/// part. `path` is named in errors, which also name the key, the value found and the remedy.
/// Refuses: what is not one JSON object, model types without a row in model/families.cpp, missing
/// or wrongly typed keys, sizes that are not positive or absurd
/// (> 2^31), num_heads not a multiple of num_kv_heads, an odd head_dim, unknown rope types,
/// activations and layer types, a checkpoint that is quantized already (`quantization_config`) in a
/// form that is not read (model/stored_form.h), unless `allow_quantized`.
Result<ModelConfig> parse_model_config(const std::string& text, const std::string& path,
                                       bool allow_quantized = false);

}  // namespace rotor
