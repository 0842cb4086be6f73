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
                         Rope::create(backend, config.rope, config.head_dim, max_seq_len));
  std::optional<Rope> local_rope;
  if (config.local_rope) {
    ROTOR_ASSIGN_OR_RETURN(local_rope,
                           Rope::create(backend, *config.local_rope, config.head_dim, max_seq_len));
  }
  return Decoder(backend, config, std::move(rope), std::move(local_rope));
}

Status Decoder::embed(const EndWeights& ends, std::span<const int32_t> ids, const Tensor& x) {
  return backend_->embed(ends.embedding, ids, config_.embedding_scale, x);
}

int64_t Decoder::carry_features(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::kAttentionIn:
      return stage.attention.query_features();  // the attention's output is as wide
    case StageKind::kMlpIn: {
      int64_t both = 0;  // gate and up, in one linear or two
      for (const Linear& linear : stage.linears) {
        both += linear.out_features;
      }
      return both / 2;
    }
    case StageKind::kExpertsIn:
      return stage.linears.front().out_features * stage.routing.per_token;
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
    case StageKind::kExpertsOut:
      break;
  }
  return 0;
}

Result<RoutedRows> Decoder::stage_input(const Stage& stage, const StageWeights& weights,
                                        const Tensor& x, const RoutedRows& carry) {
  switch (stage.kind) {
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
    case StageKind::kExpertsOut:
      return carry;
    case StageKind::kAttentionIn:
    case StageKind::kMlpIn:
    case StageKind::kExpertsIn:
      break;
  }
  RoutedRows input{x, {}};
  if (!weights.norm.empty()) {
    ROTOR_ASSIGN_OR_RETURN(input.rows, scratch_.take(*backend_, Slot::kNormed, x.rows(), x.cols()));
    ROTOR_RETURN_IF_ERROR(backend_->rms_norm(x, weights.norm, config_.rms_norm_eps, input.rows));
  }
  if (stage.has_experts()) {
    ROTOR_ASSIGN_OR_RETURN(input.routing, backend_->route(input.rows, weights.router,
                                                          weights.router_bias, stage.routing));
  }
  return input;
}

Status Decoder::finish_stage(const Stage& stage, const StageWeights& weights,
                             const BatchShape& shape, const RoutedRows& input, const Tensor& x,
                             RoutedRows* carry_out) {
  switch (stage.kind) {
    case StageKind::kAttentionIn:
      return finish_attention_in(stage.attention, weights, shape, input.rows, carry_out->rows);
    case StageKind::kMlpIn:
      return finish_mlp_in(weights.linears, input.rows, carry_out->rows);
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
      return finish_residual(weights, input.rows, x);
    case StageKind::kExpertsIn:
      return finish_experts_in(stage, weights, input, carry_out);
    case StageKind::kExpertsOut:
      return finish_experts_out(stage, weights, input, x);
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

Status Decoder::finish_attention_in(const Attention& attention, const StageWeights& weights,
                                    const BatchShape& shape, const Tensor& input,
                                    const Tensor& carry_out) {
  const int64_t tokens = shape.tokens();
  const int64_t dim = attention.head_dim;
  ROTOR_ASSIGN_OR_RETURN(
      const Tensor q, scratch_.take(*backend_, Slot::kQuery, tokens, attention.query_features()));
  ROTOR_ASSIGN_OR_RETURN(const Tensor k,
                         scratch_.take(*backend_, Slot::kKey, tokens, attention.key_features()));
  ROTOR_ASSIGN_OR_RETURN(const Tensor v,
                         scratch_.take(*backend_, Slot::kValue, tokens, attention.key_features()));
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{q, k, v}));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.q_norm, q));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.k_norm, k));
  const RopeTables& rope = (attention.local_rope ? *local_rope_ : rope_).of(shape.seq_len);
  ROTOR_RETURN_IF_ERROR(backend_->rope(q, dim, shape.seq_len, rope.cos, rope.sin));
  ROTOR_RETURN_IF_ERROR(backend_->rope(k, dim, shape.seq_len, rope.cos, rope.sin));
  const AttentionShape described{
      .sequences = shape.sequences,
      .seq_len = shape.seq_len,
      .heads = attention.heads,
      .kv_heads = attention.kv_heads,
      .head_dim = dim,
      .scale = attention.scale,
      .sliding_window = attention.sliding_window,
      .soft_cap = attention.soft_cap,
  };
  return backend_->attention(described, q, k, v, weights.sinks, carry_out);
}

Status Decoder::finish_mlp_in(std::span<const LinearWeights> linears, const Tensor& input,
                              const Tensor& carry_out) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor up,
                         scratch_.take(*backend_, Slot::kUp, carry_out.rows(), carry_out.cols()));
  ROTOR_RETURN_IF_ERROR(apply(linears, input, std::array{carry_out, up}));
  return backend_->gated_activation(config_.activation, carry_out, up, carry_out);
}

Status Decoder::finish_residual(const StageWeights& weights, const Tensor& input, const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor out,
                         scratch_.take(*backend_, Slot::kOutput, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{out}));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.post_norm, out));
  return backend_->add(x, out);
}

Status Decoder::forward_layer(const Layer& layer, const LayerWeights& weights,
                              const BatchShape& shape, const Tensor& x) {
  RoutedRows carry;
  for (size_t s = 0; s < layer.stages.size(); ++s) {
    const Stage& stage = layer.stages[s];
    ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, stage_input(stage, weights.stages[s], x, carry));
    RoutedRows next;
    if (const int64_t features = carry_features(stage); features > 0) {
      ROTOR_ASSIGN_OR_RETURN(next.rows, scratch_.take(*backend_, Slot::kCarry, x.rows(), features));
    }
    ROTOR_RETURN_IF_ERROR(finish_stage(stage, weights.stages[s], shape, input, x, &next));
    carry = std::move(next);
  }
  return {};
}

Status Decoder::final_norm(const EndWeights& ends, const Tensor& x, const Tensor& out) {
  return backend_->rms_norm(x, ends.final_norm, config_.rms_norm_eps, out);
}

Result<Loss> Decoder::loss(const EndWeights& ends, const BatchShape& shape,
                           std::span<const int32_t> ids, const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor normed,
                         scratch_.take(*backend_, Slot::kNormed, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(final_norm(ends, x, normed));
  return backend_->next_token_loss(normed, ends.head, ids, shape.seq_len, config_.logit_cap);
}

}  // namespace rotor::worker
