#include "worker/model/decoder.h"

#include <array>
#include <cmath>
#include <string>
#include <utility>

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

Decoder::Decoder(Backend& backend, const ModelConfig& config, RopeTables rope)
    : backend_(&backend), config_(config), rope_(std::move(rope)) {}

Result<Decoder> Decoder::create(Backend& backend, const ModelConfig& config, int64_t max_seq_len) {
  if (max_seq_len < 1 || max_seq_len > config.max_position_embeddings) {
    return invalid_argument("sequences of " + std::to_string(max_seq_len) +
                            " tokens: this model takes 1 to " +
                            std::to_string(config.max_position_embeddings) +
                            " (max_position_embeddings in config.json)")
        .with_reason("BAD_SEQUENCE_LENGTH");
  }
  ROTOR_ASSIGN_OR_RETURN(RopeTables rope,
                         make_rope_tables(backend, config.rope, config.head_dim, max_seq_len));
  return Decoder(backend, config, std::move(rope));
}

Status Decoder::embed(const EndWeights& ends, std::span<const int32_t> ids, const Tensor& x) {
  return backend_->embed(ends.embedding, ids, x);
}

int64_t Decoder::carry_features(const Stage& stage) {
  switch (stage.kind) {
    case StageKind::kAttentionIn:
    case StageKind::kMlpIn:
      // As wide as the query, which the attention's output replaces, or as the gate.
      return stage.linears.front().out_features;
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
      break;
  }
  return 0;
}

Result<Tensor> Decoder::stage_input(const Stage& stage, const StageWeights& weights,
                                    const Tensor& x, const Tensor& carry) {
  if (stage.kind == StageKind::kAttentionOut || stage.kind == StageKind::kMlpOut) {
    return carry;
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor normed,
                         scratch_.take(*backend_, Slot::kNormed, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(backend_->rms_norm(x, weights.norm, config_.rms_norm_eps, normed));
  return normed;
}

Status Decoder::finish_stage(const Stage& stage, const StageWeights& weights,
                             const BatchShape& shape, const Tensor& input, const Tensor& x,
                             const Tensor& carry_out) {
  switch (stage.kind) {
    case StageKind::kAttentionIn:
      return finish_attention_in(weights, shape, input, carry_out);
    case StageKind::kMlpIn:
      return finish_mlp_in(weights, input, carry_out);
    case StageKind::kAttentionOut:
    case StageKind::kMlpOut:
      return finish_residual(weights, input, x);
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

Status Decoder::apply(const StageWeights& weights, const Tensor& input,
                      std::span<const Tensor> outs) {
  Tensor ready;
  for (size_t i = 0; i < outs.size(); ++i) {
    const LinearWeights& linear = weights.linears[i];
    if (i == 0 || linear.transform != weights.linears[i - 1].transform) {
      ROTOR_ASSIGN_OR_RETURN(ready, transformed(linear.transform, input));
    }
    ROTOR_RETURN_IF_ERROR(backend_->linear(ready, linear.weight, linear.bias, outs[i]));
  }
  return {};
}

Status Decoder::finish_attention_in(const StageWeights& weights, const BatchShape& shape,
                                    const Tensor& input, const Tensor& carry_out) {
  const int64_t tokens = shape.tokens();
  const int64_t dim = config_.head_dim;
  ROTOR_ASSIGN_OR_RETURN(const Tensor q,
                         scratch_.take(*backend_, Slot::kQuery, tokens, config_.num_heads * dim));
  ROTOR_ASSIGN_OR_RETURN(const Tensor k,
                         scratch_.take(*backend_, Slot::kKey, tokens, config_.num_kv_heads * dim));
  ROTOR_ASSIGN_OR_RETURN(
      const Tensor v, scratch_.take(*backend_, Slot::kValue, tokens, config_.num_kv_heads * dim));
  ROTOR_RETURN_IF_ERROR(apply(weights, input, std::array{q, k, v}));
  ROTOR_RETURN_IF_ERROR(backend_->rope(q, dim, shape.seq_len, rope_.cos, rope_.sin));
  ROTOR_RETURN_IF_ERROR(backend_->rope(k, dim, shape.seq_len, rope_.cos, rope_.sin));
  const AttentionShape attention{
      .sequences = shape.sequences,
      .seq_len = shape.seq_len,
      .heads = config_.num_heads,
      .kv_heads = config_.num_kv_heads,
      .head_dim = dim,
      .scale = 1.0 / std::sqrt(static_cast<double>(dim)),
      .sliding_window = config_.sliding_window,
  };
  return backend_->attention(attention, q, k, v, carry_out);
}

Status Decoder::finish_mlp_in(const StageWeights& weights, const Tensor& input,
                              const Tensor& carry_out) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor up,
                         scratch_.take(*backend_, Slot::kUp, carry_out.rows(), carry_out.cols()));
  ROTOR_RETURN_IF_ERROR(apply(weights, input, std::array{carry_out, up}));
  return backend_->gated_activation(config_.activation, carry_out, up, carry_out);
}

Status Decoder::finish_residual(const StageWeights& weights, const Tensor& input, const Tensor& x) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor out,
                         scratch_.take(*backend_, Slot::kOutput, x.rows(), x.cols()));
  ROTOR_RETURN_IF_ERROR(apply(weights, input, std::array{out}));
  return backend_->add(x, out);
}

Status Decoder::forward_layer(const Layer& layer, const LayerWeights& weights,
                              const BatchShape& shape, const Tensor& x) {
  Tensor carry;
  for (size_t s = 0; s < layer.stages.size(); ++s) {
    const Stage& stage = layer.stages[s];
    ROTOR_ASSIGN_OR_RETURN(const Tensor input, stage_input(stage, weights.stages[s], x, carry));
    Tensor next;
    if (const int64_t features = carry_features(stage); features > 0) {
      ROTOR_ASSIGN_OR_RETURN(next, scratch_.take(*backend_, Slot::kCarry, x.rows(), features));
    }
    ROTOR_RETURN_IF_ERROR(finish_stage(stage, weights.stages[s], shape, input, x, next));
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
  return backend_->next_token_loss(normed, ends.head, ids, shape.seq_len);
}

}  // namespace rotor::worker
