// The description that the decoder, the plan and the coordinator read instead of knowing families:
// a model is a chain of layers, a layer a chain of stages, a stage the linears that share one input
// (design.md section 4). A family is a row in model/families.cpp; model/layer_builder.h makes the
// stages of a layer from it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/carry.h"
#include "model/config.h"
#include "model/routing_rule.h"
#include "quant/base/status.h"

namespace rotor {

/// What happens around the linears of a stage. x is the residual stream [tokens, hidden].
enum class StageKind {
  kAttentionIn,   // in: norm(x). q, k, v; after: norms of q and k, RoPE, causal attention
  kAttentionOut,  // in: attention output. o; after: x += post_norm(o)
  kMlpIn,         // in: norm(x). gate, up; after: act(gate) * up
  kMlpOut,        // in: the product. down; after: x += post_norm(down)
  // Latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1):
  kLatentIn,     // in: norm(x). q_a or q, kv_a; after: norms of latents, RoPE of queries and keys
  kLatentQuery,  // in: the query latent. q_b; after: RoPE
  kLatentKeyValue,  // in: the key/value latent. kv_b; after: causal attention
  // A linear attention (Gated DeltaNet, arXiv 2412.06464). Its output projection is a
  // kAttentionOut.
  kDeltaIn,  // in: norm(x). q, k, v, z; after: convolution, delta rule, gated norm
  // Of a mixture, an expert that all tokens go to (its gate and up are a kMlpIn):
  kSharedOut,  // in: the product. down; what it gives waits for kExpertsOut
  // Of a mixture, every expert on the rows of the tokens that a router sends it:
  kExpertsIn,   // in: norm(x). gate, up of each; after: act(gate) * up
  kExpertsOut,  // in: the product. down of each; after: x += their weighted sum + the shared one's
};

/// A root mean square norm: y / sqrt(mean(y^2) + eps) * (offset + weight), over the whole row or
/// over each of its pieces of `features` columns (heads).
struct Norm {
  std::string weight;    // tensor name [features]; empty: there is no norm
  int64_t features = 0;  // columns that share a mean
  float offset = 0.0F;   // 1 where the checkpoint holds what the weight has beyond 1
  bool empty() const { return weight.empty(); }
};

/// A linear module. Its weight is `name` + ".weight" [out_features, in_features].
struct Linear {
  std::string name;  // full module name: "model.layers.3.self_attn.q_proj"
  int64_t out_features = 0;
  int64_t in_features = 0;
  bool has_bias = false;
  int fuse_group = 0;  // linears of a stage with the same number are fused by engines
};

/// What stands between q, k, v and the attention's output.
struct Attention {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;        // of queries and keys
  int64_t value_dim = 0;       // of values and the output
  int64_t plain_features = 0;  // of a head, before those that RoPE rotates
  bool interleaved = false;    // RoPE pairs neighbours, not halves
  double scale = 0.0;          // of the scores
  double soft_cap = 0.0;       // scores become cap * tanh(score / cap); 0: they stay
  int64_t sliding_window = 0;  // tokens a position sees, itself included; 0: all before it
  int64_t chunk = 0;           // a sequence is cut into runs of so many that see nothing of another
  bool rotated = true;         // by RoPE
  bool local_rope = false;     // rotated by ModelConfig::local_rope
  /// The output is multiplied by the sigmoid of a gate, which q's linear gives: of each head the
  /// query, then its gate.
  bool gated = false;
  std::string sinks;  // tensor [heads]: scores of no key in the softmax; empty: none
  Norm q_norm;        // before RoPE; of kLatentIn, of the latents
  Norm k_norm;
  bool unit_norms = false;  // of each head's q and k, behind RoPE, without weights
  bool growing = false;     // queries, by ModelConfig::query_growth
  int64_t query_features() const { return heads * head_dim; }
  int64_t key_features() const { return kv_heads * head_dim; }
  int64_t value_features() const { return kv_heads * value_dim; }
  int64_t output_features() const { return heads * value_dim; }
};

/// A gated delta net. With q and k of each key head brought to length 1, a value head's state S
/// [key_dim, value_dim] goes on from token to token, and gives its output, as
///   S = exp(g) S;  S += k^T (beta (v - k S));  out = q S / sqrt(key_dim)
///   g = -exp(decay) softplus(a + step);  beta = sigmoid(b)
/// with a and b the stage's gates (arXiv 2412.06464, section 3; transformers' own code for a, b,
/// and the gated norm behind it: norm(out) * silu(z)). Before it, q, k and v each go through a
/// causal convolution of their own columns over time, and silu.
struct DeltaNet {
  int64_t key_heads = 0;
  int64_t value_heads = 0;  // a multiple of the key heads, neighbours sharing one
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  int64_t taps = 0;  // tokens that the convolution sees
  /// One linear gives q, k, v and z, and one gate b and a: those of the first key head, then of the
  /// next. Else two linears give q, k, v, one after the other, and z; and two gates b and a.
  bool by_key_head = false;
  std::string convolution;  // tensor [mixed_features, 1, taps]
  std::string decay;        // tensor [value_heads]
  std::string step;         // tensor [value_heads]
  Norm norm;                // of each value head's output
  int64_t key_features() const { return key_heads * key_dim; }
  int64_t value_features() const { return value_heads * value_dim; }
  int64_t mixed_features() const { return 2 * key_features() + value_features(); }
};

/// The tensor that may hold the linears of all experts of a stage in a checkpoint
/// (model/stacked_experts.h).
struct ExpertStack {
  std::string name;          // empty: they are always tensors of their own
  bool interleaved = false;  // gate's outputs with up's, not before them
  /// Other tensors of the mixture that have another name beside a stack: theirs here, and there.
  std::vector<std::pair<std::string, std::string>> renamed;
  bool empty() const { return name.empty(); }
};

/// A tensor that the forward pass here does without.
struct CopiedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

struct Stage {
  StageKind kind = StageKind::kAttentionIn;
  Norm norm;  // of x, before the linears
  /// In order: q, k, v or gate, up. One linear may stand for several, its rows theirs one after
  /// the other: a checkpoint that fuses them is quantized and written fused. Of a mixture: expert
  /// by expert, as many of each and in equal shapes.
  std::vector<Linear> linears;
  /// Small linears on the same input that are never quantized: of kDeltaIn, b and a; of a shared
  /// expert, what scales it.
  std::vector<Linear> gates;
  int64_t in_features = 0;
  Attention attention;       // of kAttentionIn and latent attention
  DeltaNet delta;            // of kDeltaIn
  Norm post_norm;            // of what is added to x
  RoutingRule routing;       // of a mixture
  std::string router;        // of kExpertsIn: module name; its weight is [experts, in_features]
  bool router_bias = false;  // router + ".bias" [experts]
  ExpertStack stack;         // of a mixture
  std::string router_correction;     // tensor [experts] of RoutingRule::corrected; empty: none
  std::vector<CopiedTensor> copied;  // of kLatentIn: its indexer's, which engines need
  std::vector<CarryPart> leaves;     // for the stages behind it
  /// What it uses up of what those before it left; where it does not read x, the first is the
  /// linears' input.
  std::vector<CarrySlot> takes;

  bool has_experts() const { return routing.experts > 0; }
  /// How many of the linears share an input: all, or those of an expert.
  int64_t linears_per_input() const {
    const auto count = static_cast<int64_t>(linears.size());
    return has_experts() ? count / routing.experts : count;
  }
};

/// Whether the input of the stage's linears is made of x.
bool reads_residual(const Stage& stage);

struct Layer {
  int index = 0;
  std::string prefix;  // "model.layers.3.", or what it is called inside a larger model
  std::vector<Stage> stages;
};

struct Architecture {
  ModelConfig config;
  std::string embedding;  // tensor name [vocab, hidden]
  Norm final_norm;
  std::string head;         // module name of the output head, "lm_head"
  std::string head_weight;  // tensor that it reads; the embedding's where they are tied
  std::vector<Layer> layers;
};

/// How a checkpoint calls the parts of a decoder: alone, or inside a larger model.
struct TensorNames {
  std::string decoder = "model.";  // before "embed_tokens.weight", "layers.3." and "norm.weight"
  std::string head = "lm_head";
};

/// What lies between the layer's stage and the next one: left before or by it, and not taken yet.
std::vector<CarryPart> carried_behind(const Layer& layer, size_t stage);

/// The norms that a stage has, in the order in which they are applied.
std::vector<const Norm*> norms_of(const Stage& stage);

/// Builds the description. Errors: UNIMPLEMENTED for a model_type that has no row (names it and
/// lists those that have), INVALID_ARGUMENT for a config that contradicts itself.
Result<Architecture> describe(const ModelConfig& config, const TensorNames& names = {});

/// The model types that have a row, sorted.
std::vector<std::string> supported_model_types();

}  // namespace rotor
