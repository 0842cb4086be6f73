#include "worker/model/decoder.h"

#include <array>
#include <string>
#include <utility>

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

Decoder::Decoder(Backend& backend, const ModelConfig& config, Rope rope)
    : backend_(&backend), config_(config), rope_(std::move(rope)) {}

Result<Decoder> Decoder::create(Backend& backend, const ModelConfig& config, int64_t max_seq_len) {
  const SequenceLimit limit = config.longest_sequence();
  if (max_seq_len < 1 || max_seq_len > limit.tokens) {
    return invalid_argument("sequences of " + std::to_string(max_seq_len) +
                            " tokens: this model takes 1 to " + std::to_string(limit.tokens) +
                            " (" + limit.key + " in config.json); give a shorter --seq-len")
        .with_reason("BAD_SEQUENCE_LENGTH");
  }
  ROTOR_ASSIGN_OR_RETURN(Rope rope,
                         Rope::create(backend, config.rope, config.rope_features(), max_seq_len));
  Decoder decoder(backend, config, std::move(rope));
  if (config.local_rope) {
    ROTOR_ASSIGN_OR_RETURN(decoder.local_rope_, Rope::create(backend, *config.local_rope,
                                                             config.rope_features(), max_seq_len));
  }
  if (config.query_growth && max_seq_len >= config.query_growth->interval) {
    ROTOR_ASSIGN_OR_RETURN(decoder.query_growth_, make_growth_tables(backend, *config.query_growth,
                                                                     config.head_dim, max_seq_len));
  }
  return decoder;
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
    input.scores = stage.routing.scales_inputs ? weights.router.weight : Tensor();
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
