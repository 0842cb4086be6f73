#include "worker/pipeline/stage_forward.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace rotor::worker {
namespace {

bool leaves_carry(const Stage& stage) {
  return Decoder::carry_features(stage) > 0;
}

bool is_out_of_memory(const Status& status) {
  return status.code() == Code::kResourceExhausted;
}

}  // namespace

Result<Tensor> StageForward::input(size_t stage, const LayerWeights& weights,
                                   const MicroBatch& batch) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  const bool needs_carry = stage > 0 && leaves_carry(layer_.stages[stage - 1]);
  Tensor carry = batch.carry;
  if (needs_carry && carry.empty()) {
    ROTOR_ASSIGN_OR_RETURN(carry, room_again(stage - 1, batch.shape.tokens()));
    ROTOR_RETURN_IF_ERROR(in_steps(batch, [&](const Step& step) {
      return run(stage - 1, weights, step.shape, step.of(x), Tensor(), step.of(carry));
    }));
  }
  return decoder_.stage_input(layer_.stages[stage], weights.stages[stage], x, carry);
}

Status StageForward::finish(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  if (!leaves_carry(layer_.stages[stage])) {
    return add_to_residual(stage, weights, batch);
  }
  if (Decoder::carry_features(layer_.stages[stage]) > memory_.kept_carry) {
    batch.carry = Tensor();
    return {};
  }
  return leave_carry(stage, weights, batch);
}

Status StageForward::forward(const LayerWeights& weights, MicroBatch& batch) {
  for (size_t stage = 0; stage < layer_.stages.size(); ++stage) {
    if (!leaves_carry(layer_.stages[stage])) {
      ROTOR_RETURN_IF_ERROR(add_to_residual(stage, weights, batch));
    }
  }
  return {};
}

void StageForward::release() {
  again_ = Tensor();
  staging_ = Tensor();
  decoder_.release_scratch();
}

Status StageForward::leave_carry(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  Result<Tensor> carry = take(batch.shape.tokens(), Decoder::carry_features(layer_.stages[stage]));
  if (is_out_of_memory(carry.status())) {
    // The plan is an estimate. What is not kept is computed again.
    spdlog::warn("layer {}: no room to keep a carry, it will be computed again: {}", layer_.index,
                 carry.status().message());
    batch.carry = Tensor();
    return {};
  }
  ROTOR_RETURN_IF_ERROR(carry.status());
  ROTOR_RETURN_IF_ERROR(in_steps(batch, [&](const Step& step) {
    return run(stage, weights, step.shape, step.of(x), step.of(batch.carry), step.of(*carry));
  }));
  batch.carry = std::move(carry).value();
  return {};
}

Status StageForward::add_to_residual(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  const bool again = batch.carry.empty() && stage > 0 && leaves_carry(layer_.stages[stage - 1]);
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  const auto run_step = [&](const Step& step) -> Status {
    Tensor carry = step.of(batch.carry);
    if (again) {
      ROTOR_ASSIGN_OR_RETURN(carry, room_again(stage - 1, step.shape.tokens()));
      ROTOR_RETURN_IF_ERROR(run(stage - 1, weights, step.shape, step.of(x), Tensor(), carry));
    }
    return run(stage, weights, step.shape, step.of(x), carry, Tensor());
  };
  ROTOR_RETURN_IF_ERROR(in_steps(batch, run_step));
  batch.carry = Tensor();
  const Tensor& waiting = batch.waiting;
  return waiting.empty() ? Status() : backend_.download(x, waiting.data(), waiting.bytes());
}

Status StageForward::run(size_t stage, const LayerWeights& weights, const BatchShape& shape,
                         const Tensor& x, const Tensor& carry_in, const Tensor& carry_out) {
  const Stage& what = layer_.stages[stage];
  const StageWeights& with = weights.stages[stage];
  ROTOR_ASSIGN_OR_RETURN(const Tensor input, decoder_.stage_input(what, with, x, carry_in));
  return decoder_.finish_stage(what, with, shape, input, x, carry_out);
}

Result<Tensor> StageForward::resident(const MicroBatch& batch) {
  const Tensor& waiting = batch.waiting;
  if (waiting.empty()) {
    return batch.x;
  }
  if (staging_.empty() || staging_.rows() < waiting.rows()) {
    staging_ = Tensor();
    ROTOR_ASSIGN_OR_RETURN(staging_, take(waiting.rows(), waiting.cols()));
  }
  const Tensor x = staging_.row_range(0, waiting.rows());
  ROTOR_RETURN_IF_ERROR(backend_.upload(waiting.data(), waiting.bytes(), x));
  return x;
}

Result<Tensor> StageForward::room_again(size_t stage, int64_t tokens) {
  const int64_t width = Decoder::carry_features(layer_.stages[stage]);
  if (again_.empty() || again_.cols() != width || again_.rows() < tokens) {
    again_ = Tensor();
    ROTOR_ASSIGN_OR_RETURN(again_, take(tokens, width));
  }
  return again_.row_range(0, tokens);
}

Result<Tensor> StageForward::take(int64_t rows, int64_t cols) {
  Result<Tensor> taken = backend_.allocate(backend_.activation_dtype(), rows, cols);
  if (is_out_of_memory(taken.status())) {
    decoder_.release_scratch();
    taken = backend_.allocate(backend_.activation_dtype(), rows, cols);
  }
  return taken;
}

Status StageForward::in_steps(const MicroBatch& batch,
                              const std::function<Status(const Step&)>& run) {
  const int64_t sequences = batch.shape.sequences;
  for (int64_t done = 0; done < sequences;) {
    const int64_t count = std::min(step_.value_or(sequences), sequences - done);
    // A stage takes its memory before it changes anything, so one that failed can run again.
    const Status status = run({{count, batch.shape.seq_len}, done * batch.shape.seq_len});
    if (status.ok()) {
      done += count;
      continue;
    }
    if (!is_out_of_memory(status) || count == 1) {
      return status;
    }
    step_ = (count + 1) / 2;
    decoder_.release_scratch();
    spdlog::warn("layer {}: {}: micro-batches of {} sequences go on in steps of {}", layer_.index,
                 status.message(), sequences, *step_);
  }
  return {};
}

}  // namespace rotor::worker
