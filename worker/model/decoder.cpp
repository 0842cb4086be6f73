#include "worker/model/decoder.h"

#include <array>
#include <string>
#include <utility>

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

Decoder::Decoder(Backend& backend, const ModelConfig& config, Rope rope,
                 std::optional<Rope> local_rope)
    : backend_(&backend),
      config_(config),
      rope_(std::move(rope)),
      local_rope_(std::move(local_rope)) {}

Result<Decoder> Decoder::create(Backend& backend, const ModelConfig& config, int64_t max_seq_len) {
  if (max_seq_len < 1 || max_seq_len > config.max_position_embeddings) {
    return invalid_argument("sequences of " + std::to_string(max_seq_len) +
                            " tokens: this model takes 1 to " +
                            std::to_string(config.max_position_embeddings) +
                            " (max_position_embeddings in config.json)")
        .with_reason("BAD_SEQUENCE_LENGTH");
  }
  ROTOR_ASSIGN_OR_RETURN(Rope rope,
                         Rope::create(backend, config.rope, config.rope_features(), max_seq_len));
  std::optional<Rope> local_rope;
  if (config.local_rope) {
    ROTOR_ASSIGN_OR_RETURN(
        local_rope, Rope::create(backend, *config.local_rope, config.rope_features(), max_seq_len));
  }
  return Decoder(backend, config, std::move(rope), std::move(local_rope));
}

Status Decoder::embed(const EndWeights& ends, std::span<const int32_t> ids, const Tensor& x) {
  return backend_->embed(ends.embedding, ids, config_.embedding_scale, x);
}

Result<RoutedRows> Decoder::stage_input(const Stage& stage, const StageWeights& weights,
                                        const Tensor& x, const Carry& carry) {
  if (!reads_residual(stage)) {
    return RoutedRows{carry.find(stage.takes.front()),
                      stage.has_experts() ? carry.routing : Routing{}};
  }
  RoutedRows input{x, {}};
  if (!weights.norm.empty()) {
    ROTOR_ASSIGN_OR_RETURN(input.rows, scratch_.take(*backend_, Slot::kNormed, x.rows(), x.cols()));
    ROTOR_RETURN_IF_ERROR(backend_->rms_norm(x, weights.norm, config_.rms_norm_eps, input.rows));
  }
  if (stage.has_experts()) {
    ROTOR_ASSIGN_OR_RETURN(input.routing,
                           backend_->route(input.rows, weights.router, stage.routing));
  }
  return input;
}

Status Decoder::finish_stage(const Stage& stage, const StageWeights& weights,
                             const BatchShape& shape, const RoutedRows& input, const Tensor& x,
                             const Carry& carry, Carry* left) {
  const auto only_left = [&] { return left->find(stage.leaves.front().slot); };
  switch (stage.kind) {
    case StageKind::kAttentionIn:
      return finish_attention_in(stage.attention, weights, shape, input.rows, only_left());
    case StageKind::kLatentIn:
      return finish_latent_in(stage, weights, shape, input.rows, *left);
    case StageKind::kLatentQuery:
      return finish_latent_query(stage, weights, shape, input.rows, only_left());
    case StageKind::kLatentKeyValue:
      return finish_latent_key_value(stage, weights, shape, input.rows, carry, only_left());
    case StageKind::kDeltaIn:
      return finish_delta_in(stage, weights, shape, input.rows, only_left());
    case StageKind::kMlpIn:
      if (!stage.gates.empty()) {
        ROTOR_RETURN_IF_ERROR(backend_->linear(input.rows, weights.gates.front(), Tensor(),
                                               left->find(CarrySlot::kSharedGate)));
      }
      return finish_mlp_in(weights.linears, input.rows, only_left());
    case StageKind::kSharedOut:
      return finish_shared_out(stage, weights, input.rows, carry, only_left());
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
      return finish_residual(weights, input.rows, x);
    case StageKind::kExpertsIn:
      return finish_experts_in(stage, weights, input, left);
    case StageKind::kExpertsOut:
      return finish_experts_out(stage, weights, input, x, carry.find(CarrySlot::kShared));
  }
  return internal_error("unknown stage");
}

Result<Tensor> Decoder::transformed(const InputTransform& transform, const Tensor& input) {
  if (transform.rotation == 0 && !transform.quant) {
    return input;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor out,
                         scratch_.take(*backend_, Slot::kTransformed, input.rows(), input.cols()));
  if (transform.rotation != 0) {
    ROTOR_RETURN_IF_ERROR(backend_->rotate(input, transform.rotation, out));
  }
  if (transform.quant) {
    ROTOR_RETURN_IF_ERROR(backend_->quantize_activations(transform.rotation != 0 ? out : input,
                                                         *transform.quant, out));
  }
  return out;
}

Status Decoder::apply(std::span<const LinearWeights> linears, const Tensor& input,
                      std::span<const Tensor> outs) {
  Tensor ready;
  for (size_t i = 0; i < linears.size(); ++i) {
    const LinearWeights& linear = linears[i];
    if (i == 0 || linear.transform != linears[i - 1].transform) {
      ROTOR_ASSIGN_OR_RETURN(ready, transformed(linear.transform, input));
    }
    for (int64_t row = 0; row < linear.weight.rows(); outs = outs.subspan(1)) {
      const int64_t rows = outs.front().cols();
      Tensor bias = linear.bias;
      if (!bias.empty()) {
        bias = bias.reshaped(bias.size(), 1).row_range(row, rows).reshaped(1, rows);
      }
      ROTOR_RETURN_IF_ERROR(
          backend_->linear(ready, linear.weight.row_range(row, rows), bias, outs.front()));
      row += rows;
    }
  }
  return {};
}

Status Decoder::norm_pieces(const Tensor& weight, const Tensor& x) {
  if (weight.empty()) {
    return {};
  }
  const Tensor pieces = x.reshaped(x.size() / weight.size(), weight.size());
  return backend_->rms_norm(pieces, weight, config_.rms_norm_eps, pieces);
}

Status Decoder::rope(const Attention& attention, const BatchShape& shape, const Tensor& x,
                     int64_t head_dim) {
  const RopeTables& tables = (attention.local_rope ? *local_rope_ : rope_).of(shape.seq_len);
  const RopeShape described{
      .seq_len = shape.seq_len,
      .head_dim = head_dim,
      .first = head_dim == attention.head_dim ? attention.plain_features : 0,
      .interleaved = attention.interleaved,
  };
  return backend_->rope(x, described, tables.cos, tables.sin);
}

Status Decoder::attend(const Attention& attention, const BatchShape& shape, const Tensor& q,
                       const Tensor& k, const Tensor& v, const Tensor& sinks, const Tensor& out) {
  const AttentionShape described{
      .sequences = shape.sequences,
      .seq_len = shape.seq_len,
      .heads = attention.heads,
      .kv_heads = attention.kv_heads,
      .head_dim = attention.head_dim,
      .scale = attention.scale,
      .sliding_window = attention.sliding_window,
      .soft_cap = attention.soft_cap,
      .value_dim = attention.value_dim,
  };
  return backend_->attention(described, q, k, v, sinks, out);
}

Status Decoder::finish_attention_in(const Attention& attention, const StageWeights& weights,
                                    const BatchShape& shape, const Tensor& input,
                                    const Tensor& attended) {
  const int64_t tokens = shape.tokens();
  const int64_t features = attention.query_features();
  ROTOR_ASSIGN_OR_RETURN(const Tensor q, scratch_.take(*backend_, Slot::kQuery, tokens, features));
  ROTOR_ASSIGN_OR_RETURN(const Tensor k,
                         scratch_.take(*backend_, Slot::kKey, tokens, attention.key_features()));
  ROTOR_ASSIGN_OR_RETURN(
      const Tensor v, scratch_.take(*backend_, Slot::kValue, tokens, attention.value_features()));
  Tensor gate;
  if (attention.gated) {
    const int64_t dim = attention.head_dim;
    ROTOR_ASSIGN_OR_RETURN(gate, scratch_.take(*backend_, Slot::kGate, tokens, features));
    ROTOR_ASSIGN_OR_RETURN(const Tensor both,
                           scratch_.take(*backend_, Slot::kKeyValue, tokens, 2 * features));
    ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{both, k, v}));
    ROTOR_RETURN_IF_ERROR(
        backend_->copy_columns(both, {0, 2 * dim}, q, {0, dim}, attention.heads, dim));
    ROTOR_RETURN_IF_ERROR(
        backend_->copy_columns(both, {dim, 2 * dim}, gate, {0, dim}, attention.heads, dim));
  } else {
    ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{q, k, v}));
  }
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.q_norm, q));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.k_norm, k));
  if (attention.rotated) {
    ROTOR_RETURN_IF_ERROR(rope(attention, shape, q, attention.head_dim));
    ROTOR_RETURN_IF_ERROR(rope(attention, shape, k, attention.head_dim));
  }
  ROTOR_RETURN_IF_ERROR(attend(attention, shape, q, k, v, weights.sinks, attended));
  return attention.gated ? backend_->sigmoid_gate(attended, gate) : Status();
}

Status Decoder::finish_mlp_in(std::span<const LinearWeights> linears, const Tensor& input,
                              const Tensor& product) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor up,
                         scratch_.take(*backend_, Slot::kUp, product.rows(), product.cols()));
  ROTOR_RETURN_IF_ERROR(apply(linears, input, std::array{product, up}));
  return backend_->gated_activation(config_.activation, product, up, product);
}

Status Decoder::finish_residual(const StageWeights& weights, const Tensor& input, const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor out,
                         scratch_.take(*backend_, Slot::kOutput, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{out}));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.post_norm, out));
  return backend_->add(x, out, static_cast<float>(config_.residual_scale));
}

Status Decoder::forward_layer(const Layer& layer, const LayerWeights& weights,
                              const BatchShape& shape, const Tensor& x) {
  Carry carry;
  for (size_t s = 0; s < layer.stages.size(); ++s) {
    const Stage& stage = layer.stages[s];
    ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, stage_input(stage, weights.stages[s], x, carry));
    Carry left;
    for (const CarryPart& part : stage.leaves) {
      ROTOR_ASSIGN_OR_RETURN(Tensor rows,
                             scratch_.take(*backend_, part.slot, x.rows(), part.features));
      left.put(part.slot, std::move(rows));
    }
    ROTOR_RETURN_IF_ERROR(finish_stage(stage, weights.stages[s], shape, input, x, carry, &left));
    carry.pass(stage, left);
  }
  return {};
}

Status Decoder::final_norm(const EndWeights& ends, const Tensor& x, const Tensor& out) {
  return backend_->rms_norm(x, ends.final_norm, config_.rms_norm_eps, out);
}

Result<Logits> Decoder::logits(const EndWeights& ends, const Tensor& x) {
  if (ends.head.rows() == 0) {
    return invalid_argument("the model has no output head, and so no perplexity")
        .with_reason("NO_OUTPUT_HEAD");
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor normed,
                         scratch_.take(*backend_, Slot::kNormed, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(backend_->rms_norm(x, ends.head_norm, config_.rms_norm_eps, normed));
  return Logits{normed, ends.head, config_.logit_cap};
}

Result<std::vector<double>> Decoder::losses(const EndWeights& ends, const BatchShape& shape,
                                            std::span<const int32_t> ids, const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(const Logits made, logits(ends, x));
  return backend_->next_token_losses(made.x, made.head, ids, shape.seq_len, made.soft_cap);
}

}  // namespace rotor::worker
