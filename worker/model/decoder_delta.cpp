// The part of the decoder that runs a gated delta net.
#include <array>
#include <utility>

#include "worker/model/decoder.h"

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

Result<Decoder::DeltaRows> Decoder::delta_rows(const Stage& stage, const StageWeights& weights,
                                               const Tensor& input) {
  const DeltaNet& delta = stage.delta;
  const int64_t tokens = input.rows();
  const int64_t heads = delta.value_heads;
  const int64_t values = delta.value_features();
  DeltaRows rows;
  const auto take = [&](Slot slot, int64_t cols) {
    return scratch_.take(*backend_, slot, tokens, cols);
  };
  ROTOR_ASSIGN_OR_RETURN(rows.mixed, take(Slot::kQuery, delta.mixed_features()));
  ROTOR_ASSIGN_OR_RETURN(rows.z, take(Slot::kGate, values));
  ROTOR_ASSIGN_OR_RETURN(rows.beta, take(Slot::kBeta, heads));
  ROTOR_ASSIGN_OR_RETURN(rows.alpha, take(Slot::kAlpha, heads));
  if (!delta.by_key_head) {
    ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{rows.mixed, rows.z}));
    ROTOR_RETURN_IF_ERROR(backend_->linear(input, weights.gates[0], Tensor(), rows.beta));
    ROTOR_RETURN_IF_ERROR(backend_->linear(input, weights.gates[1], Tensor(), rows.alpha));
    return rows;
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor all, take(Slot::kKeyValue, delta.mixed_features() + values));
  ROTOR_ASSIGN_OR_RETURN(const Tensor both, take(Slot::kKeyValue, 2 * heads));
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{all}));
  ROTOR_RETURN_IF_ERROR(backend_->linear(input, weights.gates[0], Tensor(), both));
  // Of a key head: query, key, the values of its value heads, and their z.
  const int64_t groups = delta.key_heads;
  const int64_t dim = delta.key_dim;
  const int64_t wide = values / groups;
  const int64_t many = heads / groups;
  const auto copy = [&](const Tensor& from, int64_t first, int64_t step, const Tensor& to,
                        int64_t to_first, int64_t width) {
    return backend_->copy_columns(from, {first, step}, to, {to_first, width}, groups, width);
  };
  const int64_t step = 2 * dim + 2 * wide;
  ROTOR_RETURN_IF_ERROR(copy(all, 0, step, rows.mixed, 0, dim));
  ROTOR_RETURN_IF_ERROR(copy(all, dim, step, rows.mixed, delta.key_features(), dim));
  ROTOR_RETURN_IF_ERROR(copy(all, 2 * dim, step, rows.mixed, 2 * delta.key_features(), wide));
  ROTOR_RETURN_IF_ERROR(copy(all, 2 * dim + wide, step, rows.z, 0, wide));
  ROTOR_RETURN_IF_ERROR(copy(both, 0, 2 * many, rows.beta, 0, many));
  ROTOR_RETURN_IF_ERROR(copy(both, many, 2 * many, rows.alpha, 0, many));
  return rows;
}

Status Decoder::finish_delta_in(const Stage& stage, const StageWeights& weights,
                                const BatchShape& shape, const Tensor& input,
                                const Tensor& attended) {
  const DeltaNet& delta = stage.delta;
  ROTOR_ASSIGN_OR_RETURN(const DeltaRows rows, delta_rows(stage, weights, input));
  ROTOR_ASSIGN_OR_RETURN(const Tensor convolved, scratch_.take(*backend_, Slot::kKey, input.rows(),
                                                               delta.mixed_features()));
  ROTOR_ASSIGN_OR_RETURN(const Tensor out, scratch_.take(*backend_, Slot::kValue, input.rows(),
                                                         delta.value_features()));
  ROTOR_RETURN_IF_ERROR(backend_->causal_convolution(rows.mixed, weights.delta.convolution,
                                                     shape.seq_len, convolved));
  const DeltaShape described{
      .sequences = shape.sequences,
      .seq_len = shape.seq_len,
      .key_heads = delta.key_heads,
      .value_heads = delta.value_heads,
      .key_dim = delta.key_dim,
      .value_dim = delta.value_dim,
  };
  ROTOR_RETURN_IF_ERROR(backend_->delta_rule(described, convolved, rows.beta, rows.alpha,
                                             weights.delta.decay, weights.delta.step, out));
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.delta.norm, out));
  return backend_->gated_activation({ActivationKind::kSilu}, rows.z, out, attended);
}

}  // namespace rotor::worker
