#include "model/layer_builder.h"

#include <cmath>
#include <utility>

namespace rotor {
namespace {

/// A norm of a layer, by its name there.
Norm layer_norm(const LayerPlace& place, std::string_view name) {
  return make_norm(place.family, name.empty() ? "" : place.prefix() + std::string(name),
                   place.config.hidden_size);
}

Attention describe_attention(const LayerPlace& place, const std::string& prefix) {
  const ModelConfig& config = place.config;
  Attention attention;
  attention.heads = config.num_heads;
  attention.kv_heads = config.num_kv_heads;
  attention.head_dim = config.head_dim;
  attention.value_dim = config.head_dim;
  const double scalar =
      config.query_scalar > 0.0 ? config.query_scalar : static_cast<double>(config.head_dim);
  attention.scale = config.score_scale > 0.0 ? config.score_scale : 1.0 / std::sqrt(scalar);
  attention.gated = place.family.gated_attention;
  attention.rotated = config.is_rotated(place.index);
  attention.soft_cap = config.attention_cap;
  attention.growing = config.query_growth.has_value() && !attention.rotated;
  attention.interleaved = place.family.interleaved_rope;
  (config.chunked ? attention.chunk : attention.sliding_window) = config.window_of(place.index);
  attention.local_rope = config.local_rope.has_value() && attention.sliding_window > 0;
  if (place.family.attention_sinks) {
    attention.sinks = prefix + "sinks";
  }
  const QueryKeyNorm rule = place.family.query_key_norm;
  if (rule == QueryKeyNorm::kUnitRotated) {
    attention.unit_norms = config.query_key_norm && attention.rotated;
  } else if (rule != QueryKeyNorm::kNone && config.query_key_norm) {
    const bool each = rule == QueryKeyNorm::kEachHead;
    attention.q_norm = make_norm(place.family, prefix + "q_norm",
                                 each ? config.head_dim : attention.query_features());
    attention.k_norm = make_norm(place.family, prefix + "k_norm",
                                 each ? config.head_dim : attention.key_features());
  }
  return attention;
}

/// One linear on what a stage before it left.
Stage carried_stage(StageKind kind, CarrySlot slot, Linear linear) {
  Stage stage;
  stage.kind = kind;
  stage.in_features = linear.in_features;
  stage.linears = {std::move(linear)};
  stage.takes = {slot};
  return stage;
}

/// What ends in x += post_norm(linear).
Stage residual_stage(StageKind kind, CarrySlot slot, Linear linear, Norm post_norm) {
  Stage stage = carried_stage(kind, slot, std::move(linear));
  stage.post_norm = std::move(post_norm);
  return stage;
}

/// A stage whose linears take the norm that stands before the MLP.
Stage mlp_in_stage(const LayerPlace& place, StageKind kind) {
  Stage stage;
  stage.kind = kind;
  stage.norm = layer_norm(place, place.family.norms.before_mlp);
  stage.in_features = place.config.hidden_size;
  return stage;
}

/// The gate and up projections of an expert that all tokens go to, and its down projection.
std::vector<Stage> shared_stages(const LayerPlace& place, const std::string& block) {
  const Mixture& mixture = *place.family.mixture;
  const std::string prefix = block + std::string(mixture.shared) + ".";
  const int64_t hidden = place.config.hidden_size;
  const int64_t inner = place.config.shared_features;
  Stage in = mlp_in_stage(place, StageKind::kMlpIn);
  in.linears = {{prefix + std::string(mixture.gate), inner, hidden, false, 0},
                {prefix + std::string(mixture.up), inner, hidden, false, 0}};
  in.leaves = {{CarrySlot::kSharedProduct, inner}};
  Stage out = carried_stage(StageKind::kSharedOut, CarrySlot::kSharedProduct,
                            {prefix + std::string(mixture.down), hidden, inner, false, 0});
  out.leaves = {{CarrySlot::kShared, hidden}};
  if (!mixture.shared_gate.empty()) {
    in.gates = {{block + std::string(mixture.shared_gate), 1, hidden, false, 0}};
    in.leaves.push_back({CarrySlot::kSharedGate, 1});
    out.takes.push_back(CarrySlot::kSharedGate);
  }
  return {std::move(in), std::move(out)};
}

/// The tensors of the indexer of a sparse latent attention.
std::vector<CopiedTensor> indexer_tensors(const std::string& prefix, const ModelConfig& config) {
  const IndexerConfig& indexer = *config.latent->indexer;
  const int64_t dim = indexer.head_dim;
  return {{prefix + "indexer.wq_b.weight", {indexer.heads * dim, config.latent->query_rank}},
          {prefix + "indexer.wk.weight", {dim, config.hidden_size}},
          {prefix + "indexer.k_norm.weight", {dim}},
          {prefix + "indexer.k_norm.bias", {dim}},
          {prefix + "indexer.weights_proj.weight", {indexer.heads, config.hidden_size}}};
}

}  // namespace

Norm make_norm(const Family& family, const std::string& module, int64_t features) {
  if (module.empty()) {
    return {};
  }
  return {module + ".weight", features, family.norm_offset};
}

std::vector<Stage> attention_stages(const LayerPlace& place) {
  const Family& family = place.family;
  const std::string prefix = place.prefix() + "self_attn.";
  const int64_t hidden = place.config.hidden_size;
  const bool bias =
      place.config.attention_bias || family.attention_bias == BiasRule::kQueryKeyValue;
  const bool out_bias = place.config.attention_output_bias;

  Stage in;
  in.kind = StageKind::kAttentionIn;
  in.norm = layer_norm(place, family.norms.before_attention);
  in.in_features = hidden;
  in.attention = describe_attention(place, prefix);
  const int64_t query = in.attention.query_features();
  const int64_t key = in.attention.key_features();
  const int64_t gated_query = in.attention.gated ? 2 * query : query;
  if (family.fused) {
    in.linears = {{prefix + "qkv_proj", query + 2 * key, hidden, bias, 0}};
  } else {
    in.linears = {{prefix + "q_proj", gated_query, hidden, bias, 0},
                  {prefix + "k_proj", key, hidden, bias, 0},
                  {prefix + "v_proj", key, hidden, bias, 0}};
  }

  in.leaves = {{CarrySlot::kAttended, query}};

  return {std::move(in), residual_stage(StageKind::kAttentionOut, CarrySlot::kAttended,
                                        {prefix + "o_proj", hidden, query, out_bias, 0},
                                        layer_norm(place, family.norms.behind_attention))};
}

std::vector<Stage> delta_stages(const LayerPlace& place) {
  const std::string prefix = place.prefix() + "linear_attn.";
  const int64_t hidden = place.config.hidden_size;
  const DeltaConfig& config = *place.config.delta;
  DeltaNet delta;
  delta.key_heads = config.key_heads;
  delta.value_heads = config.value_heads;
  delta.key_dim = config.key_dim;
  delta.value_dim = config.value_dim;
  delta.taps = config.taps;
  delta.by_key_head = place.family.delta == DeltaProjections::kByKeyHead;
  delta.convolution = prefix + "conv1d.weight";
  delta.decay = prefix + "A_log";
  delta.step = prefix + "dt_bias";
  delta.norm = {prefix + "norm.weight", delta.value_dim, 0.0F};

  Stage in;
  in.kind = StageKind::kDeltaIn;
  in.norm = layer_norm(place, place.family.norms.before_attention);
  in.in_features = hidden;
  const int64_t values = delta.value_features();
  const int64_t heads = delta.value_heads;
  if (delta.by_key_head) {
    in.linears = {{prefix + "in_proj_qkvz", delta.mixed_features() + values, hidden, false, 0}};
    in.gates = {{prefix + "in_proj_ba", 2 * heads, hidden, false, 0}};
  } else {
    in.linears = {{prefix + "in_proj_qkv", delta.mixed_features(), hidden, false, 0},
                  {prefix + "in_proj_z", values, hidden, false, 0}};
    in.gates = {{prefix + "in_proj_b", heads, hidden, false, 0},
                {prefix + "in_proj_a", heads, hidden, false, 0}};
  }
  in.delta = std::move(delta);
  in.leaves = {{CarrySlot::kAttended, values}};
  return {std::move(in), residual_stage(StageKind::kAttentionOut, CarrySlot::kAttended,
                                        {prefix + "out_proj", hidden, values, false, 0},
                                        layer_norm(place, place.family.norms.behind_attention))};
}

std::vector<Stage> latent_attention_stages(const LayerPlace& place) {
  const ModelConfig& config = place.config;
  const LatentConfig& latent = *config.latent;
  const std::string prefix = place.prefix() + "self_attn.";
  const int64_t hidden = config.hidden_size;
  const bool bias = config.attention_bias;
  Attention attention = describe_attention(place, prefix);
  attention.scale *= config.rope.score_factor;
  attention.value_dim = latent.value_features;
  attention.plain_features = latent.plain_features;
  attention.interleaved = latent.interleaved;
  const int64_t query = attention.query_features();
  const int64_t both = attention.heads * (latent.plain_features + latent.value_features);

  Stage in;
  in.kind = StageKind::kLatentIn;
  in.norm = layer_norm(place, place.family.norms.before_attention);
  in.in_features = hidden;
  in.attention = attention;
  in.attention.k_norm = make_norm(place.family, prefix + "kv_a_layernorm", latent.key_value_rank);
  const int64_t key = latent.key_value_rank + latent.rotary_features;
  std::vector<Stage> stages;
  if (latent.query_rank > 0) {
    in.attention.q_norm = make_norm(place.family, prefix + "q_a_layernorm", latent.query_rank);
    in.linears = {{prefix + "q_a_proj", latent.query_rank, hidden, bias, 0},
                  {prefix + "kv_a_proj_with_mqa", key, hidden, bias, 0}};
    in.leaves = {{CarrySlot::kQueryLatent, latent.query_rank}};
  } else {
    // Engines fuse these two only where both make latents.
    in.linears = {{prefix + "q_proj", query, hidden, false, 0},
                  {prefix + "kv_a_proj_with_mqa", key, hidden, bias, 1}};
    in.leaves = {{CarrySlot::kQuery, query}};
  }
  if (latent.indexer && latent.indexer->layers[static_cast<size_t>(place.index)]) {
    in.copied = indexer_tensors(prefix, config);
  }
  in.leaves.push_back({CarrySlot::kKeyValueLatent, latent.key_value_rank});
  in.leaves.push_back({CarrySlot::kRotaryKey, latent.rotary_features});
  stages.push_back(std::move(in));

  if (latent.query_rank > 0) {
    stages.push_back(carried_stage(StageKind::kLatentQuery, CarrySlot::kQueryLatent,
                                   {prefix + "q_b_proj", query, latent.query_rank, false, 0}));
    stages.back().attention = attention;
    stages.back().leaves = {{CarrySlot::kQuery, query}};
  }
  stages.push_back(carried_stage(StageKind::kLatentKeyValue, CarrySlot::kKeyValueLatent,
                                 {prefix + "kv_b_proj", both, latent.key_value_rank, false, 0}));
  stages.back().attention = attention;
  stages.back().takes = {CarrySlot::kKeyValueLatent, CarrySlot::kRotaryKey, CarrySlot::kQuery};
  stages.back().leaves = {{CarrySlot::kAttended, attention.output_features()}};
  stages.push_back(residual_stage(StageKind::kAttentionOut, CarrySlot::kAttended,
                                  {prefix + "o_proj", hidden, attention.output_features(), bias, 0},
                                  Norm()));
  return stages;
}

std::vector<Stage> mlp_stages(const LayerPlace& place) {
  const Family& family = place.family;
  const std::string prefix = place.prefix() + std::string(family.mlp) + ".";
  const int64_t hidden = place.config.hidden_size;
  const int64_t inner = place.config.intermediate_size;
  const bool bias = place.config.mlp_bias;

  Stage in = mlp_in_stage(place, StageKind::kMlpIn);
  if (family.fused) {
    in.linears = {{prefix + "gate_up_proj", 2 * inner, hidden, bias, 0}};
  } else {
    in.linears = {{prefix + "gate_proj", inner, hidden, bias, 0},
                  {prefix + "up_proj", inner, hidden, bias, 0}};
  }

  in.leaves = {{CarrySlot::kProduct, inner}};

  return {std::move(in), residual_stage(StageKind::kMlpOut, CarrySlot::kProduct,
                                        {prefix + "down_proj", hidden, inner, bias, 0},
                                        layer_norm(place, family.norms.behind_mlp))};
}

std::vector<Stage> mixture_stages(const LayerPlace& place) {
  const Mixture& mixture = *place.family.mixture;
  const std::string block = place.prefix() + std::string(mixture.block) + ".";
  const int64_t hidden = place.config.hidden_size;
  const int64_t inner = place.config.expert_features;

  Stage in = mlp_in_stage(place, StageKind::kExpertsIn);
  in.routing = place.config.routing;
  in.router = block + std::string(mixture.router);
  in.router_bias = mixture.router_bias;
  in.router_correction = in.routing.corrected ? block + std::string(mixture.correction) : "";
  in.leaves = {{CarrySlot::kProduct, inner * in.routing.per_token}};
  Stage out;
  out.kind = StageKind::kExpertsOut;
  out.in_features = inner;
  out.routing = place.config.routing;
  out.takes = {CarrySlot::kProduct};
  const std::string stacked = place.prefix() + std::string(mixture.stacked_block) + ".";
  in.stack = {stacked + "experts.gate_up_proj", mixture.stacks_interleaved, {}};
  out.stack = {stacked + "experts.down_proj", mixture.stacks_interleaved, {}};
  if (stacked != block) {
    const std::string router = std::string(mixture.router) + ".weight";
    in.stack.renamed = {{block + router, stacked + router}};
    if (in.routing.corrected) {
      const std::string correction(mixture.correction);
      in.stack.renamed.emplace_back(block + correction, stacked + correction);
    }
  }
  for (int expert = 0; expert < static_cast<int>(in.routing.experts); ++expert) {
    const std::string name = block + "experts." + std::to_string(expert) + ".";
    in.linears.push_back({name + std::string(mixture.gate), inner, hidden, mixture.bias, expert});
    in.linears.push_back({name + std::string(mixture.up), inner, hidden, mixture.bias, expert});
    out.linears.push_back({name + std::string(mixture.down), hidden, inner, mixture.bias, expert});
  }
  std::vector<Stage> stages;
  if (place.config.shared_features > 0) {
    stages = shared_stages(place, block);
    out.takes.push_back(CarrySlot::kShared);
  }
  stages.push_back(std::move(in));
  stages.push_back(std::move(out));
  return stages;
}

}  // namespace rotor
