// The part of the decoder that runs latent attention.
#include <array>
#include <utility>

#include "worker/model/decoder.h"

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

Status Decoder::finish_latent_in(const Stage& stage, const StageWeights& weights,
                                 const BatchShape& shape, const Tensor& input, const Carry& left) {
  const Attention& attention = stage.attention;
  const Tensor latent = left.find(CarrySlot::kQueryLatent);
  const Tensor query = left.find(CarrySlot::kQuery);
  const Tensor key_value = left.find(CarrySlot::kKeyValueLatent);
  const Tensor key = left.find(CarrySlot::kRotaryKey);
  ROTOR_RETURN_IF_ERROR(
      apply(weights.linears, input, std::array{latent.empty() ? query : latent, key_value, key}));
  if (latent.empty()) {
    ROTOR_RETURN_IF_ERROR(rope(attention, shape, query, attention.head_dim));
  } else {
    ROTOR_RETURN_IF_ERROR(norm_pieces(weights.q_norm, latent));
  }
  ROTOR_RETURN_IF_ERROR(norm_pieces(weights.k_norm, key_value));
  return rope(attention, shape, key, key.cols());
}

Status Decoder::finish_latent_query(const Stage& stage, const StageWeights& weights,
                                    const BatchShape& shape, const Tensor& input,
                                    const Tensor& query) {
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{query}));
  return rope(stage.attention, shape, query, stage.attention.head_dim);
}

Status Decoder::finish_latent_key_value(const Stage& stage, const StageWeights& weights,
                                        const BatchShape& shape, const Tensor& input,
                                        const Carry& carry, const Tensor& attended) {
  const Attention& attention = stage.attention;
  const int64_t tokens = shape.tokens();
  const int64_t plain = attention.plain_features;
  const int64_t dim = attention.head_dim;
  const int64_t both = plain + attention.value_dim;  // of a head, keys before values
  ROTOR_ASSIGN_OR_RETURN(const Tensor made,
                         scratch_.take(*backend_, Slot::kKeyValue, tokens, attention.heads * both));
  ROTOR_ASSIGN_OR_RETURN(const Tensor k,
                         scratch_.take(*backend_, Slot::kKey, tokens, attention.key_features()));
  ROTOR_ASSIGN_OR_RETURN(
      const Tensor v, scratch_.take(*backend_, Slot::kValue, tokens, attention.value_features()));
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{made}));
  ROTOR_RETURN_IF_ERROR(
      backend_->copy_columns(made, {0, both}, k, {0, dim}, attention.heads, plain));
  ROTOR_RETURN_IF_ERROR(backend_->copy_columns(carry.find(CarrySlot::kRotaryKey), {0, 0}, k,
                                               {plain, dim}, attention.heads, dim - plain));
  ROTOR_RETURN_IF_ERROR(backend_->copy_columns(made, {plain, both}, v, {0, attention.value_dim},
                                               attention.heads, attention.value_dim));
  return attend(attention, shape, carry.find(CarrySlot::kQuery), k, v, Tensor(), attended);
}

}  // namespace rotor::worker
