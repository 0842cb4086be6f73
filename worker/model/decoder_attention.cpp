// The part of the decoder that runs plain attention: norms, RoPE, windows and chunks.
#include <array>
#include <cstdint>

#include "worker/model/decoder.h"

namespace rotor::worker {

using Slot = DecoderScratch::Slot;

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
  if (attention.chunk == 0 || attention.chunk >= shape.seq_len) {
    return backend_->attention(described, q, k, v, sinks, out);
  }
  // Chunks see nothing of one another, as if each were a sequence.
  const auto attend_rows = [&](int64_t first, int64_t count, int64_t length) -> Status {
    if (count * length == 0) {
      return {};
    }
    AttentionShape cut = described;
    cut.sequences = count;
    cut.seq_len = length;
    const auto rows = [&](const Tensor& all) { return all.row_range(first, count * length); };
    return backend_->attention(cut, rows(q), rows(k), rows(v), sinks, rows(out));
  };
  const int64_t whole = shape.seq_len / attention.chunk;
  const int64_t rest = shape.seq_len % attention.chunk;
  for (int64_t end = shape.seq_len; end <= shape.tokens(); end += shape.seq_len) {
    ROTOR_RETURN_IF_ERROR(attend_rows(end - shape.seq_len, whole, attention.chunk));
    ROTOR_RETURN_IF_ERROR(attend_rows(end - rest, 1, rest));
  }
  return {};
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
  const auto norm_both = [&]() -> Status {
    ROTOR_RETURN_IF_ERROR(norm_pieces(weights.q_norm, q));
    return norm_pieces(weights.k_norm, k);
  };
  ROTOR_RETURN_IF_ERROR(attention.unit_norms ? Status() : norm_both());
  if (attention.rotated) {
    ROTOR_RETURN_IF_ERROR(rope(attention, shape, q, attention.head_dim));
    ROTOR_RETURN_IF_ERROR(rope(attention, shape, k, attention.head_dim));
  }
  ROTOR_RETURN_IF_ERROR(attention.unit_norms ? norm_both() : Status());
  if (attention.growing && !query_growth_.cos.empty()) {
    const RopeShape heads{.seq_len = shape.seq_len, .head_dim = attention.head_dim};
    ROTOR_RETURN_IF_ERROR(backend_->rope(q, heads, query_growth_.cos, query_growth_.sin));
  }
  ROTOR_RETURN_IF_ERROR(attend(attention, shape, q, k, v, weights.sinks, attended));
  return attention.gated ? backend_->sigmoid_gate(attended, gate) : Status();
}

}  // namespace rotor::worker
