// The part of the decoder that runs a mixture of experts.
#include <algorithm>
#include <array>
#include <utility>

#include "worker/model/decoder.h"

namespace rotor::worker {
namespace {

std::span<const LinearWeights> linears_of(const Stage& stage, const StageWeights& weights,
                                          int64_t expert) {
  const auto count = static_cast<size_t>(stage.linears_per_input());
  return std::span(weights.linears).subspan(static_cast<size_t>(expert) * count, count);
}

}  // namespace

Result<Tensor> Decoder::expert_input(const Stage& stage, const RoutedRows& input, int64_t expert) {
  const int64_t begin = input.routing.begin[static_cast<size_t>(expert)];
  const int64_t count = input.routing.rows(expert);
  if (stage.kind == StageKind::kExpertsOut) {
    return input.rows.row_range(begin, count);
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor rows, scratch_.take(*backend_, DecoderScratch::Slot::kExpert, count,
                                                    input.rows.cols()));
  ROTOR_RETURN_IF_ERROR(
      backend_->gather_rows(input.rows, input.routing.tokens.row_range(begin, count), rows));
  if (!input.scores.empty()) {
    ROTOR_ASSIGN_OR_RETURN(const Tensor logits,
                           scratch_.take(*backend_, DecoderScratch::Slot::kScore, count, 1));
    ROTOR_RETURN_IF_ERROR(
        backend_->linear(rows, input.scores.row_range(expert, 1), Tensor(), logits));
    ROTOR_RETURN_IF_ERROR(backend_->sigmoid_gate(rows, logits));
  }
  return rows;
}

Status Decoder::finish_shared_out(const Stage& stage, const StageWeights& weights,
                                  const Tensor& input, const Carry& carry, const Tensor& shared) {
  ROTOR_RETURN_IF_ERROR(apply(weights.linears, input, std::array{shared}));
  const bool gated = std::find(stage.takes.begin(), stage.takes.end(), CarrySlot::kSharedGate) !=
                     stage.takes.end();
  return gated ? backend_->sigmoid_gate(shared, carry.find(CarrySlot::kSharedGate)) : Status();
}

Status Decoder::finish_experts_in(const Stage& stage, const StageWeights& weights,
                                  const RoutedRows& input, Carry* left) {
  const int64_t rows_of_all = input.rows.rows() * stage.routing.per_token;
  const int64_t features = stage.linears.front().out_features;
  const Tensor product = left->find(CarrySlot::kProduct).reshaped(rows_of_all, features);
  left->put(CarrySlot::kProduct, product);
  left->routing = input.routing;
  for (int64_t expert = 0; expert < stage.routing.experts; ++expert) {
    const int64_t count = input.routing.rows(expert);
    if (count == 0) {
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const Tensor rows, expert_input(stage, input, expert));
    const int64_t begin = input.routing.begin[static_cast<size_t>(expert)];
    ROTOR_RETURN_IF_ERROR(
        finish_mlp_in(linears_of(stage, weights, expert), rows, product.row_range(begin, count)));
  }
  return {};
}

Status Decoder::finish_experts_out(const Stage& stage, const StageWeights& weights,
                                   const RoutedRows& input, const Tensor& x, const Tensor& shared) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor out, scratch_.take(*backend_, DecoderScratch::Slot::kOutput,
                                                         input.rows.rows(), x.cols()));
  for (int64_t expert = 0; expert < stage.routing.experts; ++expert) {
    const int64_t count = input.routing.rows(expert);
    if (count == 0) {
      continue;
    }
    ROTOR_ASSIGN_OR_RETURN(const Tensor rows, expert_input(stage, input, expert));
    const int64_t begin = input.routing.begin[static_cast<size_t>(expert)];
    ROTOR_RETURN_IF_ERROR(
        apply(linears_of(stage, weights, expert), rows, std::array{out.row_range(begin, count)}));
  }
  ROTOR_RETURN_IF_ERROR(backend_->add_routed(x, out, input.routing));
  return shared.empty() ? Status() : backend_->add(x, shared, 1.0F);
}

}  // namespace rotor::worker
