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

Result<RoutedRows> StageForward::input(size_t stage, const LayerWeights& weights,
                                       const MicroBatch& batch) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  RoutedRows carry = batch.carry;
  if (carry.empty() && stage > 0 && leaves_carry(layer_.stages[stage - 1])) {
    ROTOR_ASSIGN_OR_RETURN(const Tensor rows, room_again(stage - 1, batch.shape.tokens()));
    ROTOR_ASSIGN_OR_RETURN(carry, make_carry(stage - 1, weights, batch, x, rows));
  }
  return decoder_.stage_input(layer_.stages[stage], weights.stages[stage], x, carry);
}

Status StageForward::finish(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  if (!leaves_carry(layer_.stages[stage])) {
    return add_to_residual(stage, weights, batch);
  }
  if (Decoder::carry_features(layer_.stages[stage]) > memory_.kept_carry) {
    batch.carry = {};
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
  Result<Tensor> rows = take(batch.shape.tokens(), Decoder::carry_features(layer_.stages[stage]));
  if (is_out_of_memory(rows.status())) {
    // The plan is an estimate. What is not kept is computed again.
    spdlog::warn("layer {}: no room to keep a carry, it will be computed again: {}", layer_.index,
                 rows.status().message());
    batch.carry = {};
    return {};
  }
  ROTOR_RETURN_IF_ERROR(rows.status());
  ROTOR_ASSIGN_OR_RETURN(batch.carry, make_carry(stage, weights, batch, x, *rows));
  return {};
}

Result<RoutedRows> StageForward::make_carry(size_t stage, const LayerWeights& weights,
                                            const MicroBatch& batch, const Tensor& x,
                                            const Tensor& rows) {
  RoutedRows carry{rows, {}};
  if (layer_.stages[stage].has_experts()) {
    // Its rows lie by expert, over all sequences; besides them the stage needs little.
    ROTOR_RETURN_IF_ERROR(run(stage, weights, batch.shape, x, batch.carry, &carry));
    return carry;
  }
  ROTOR_RETURN_IF_ERROR(in_steps(batch, [&](const Step& step) -> Status {
    RoutedRows part{step.of(rows), {}};
    return run(stage, weights, step.shape, step.of(x), {step.of(batch.carry.rows), {}}, &part);
  }));
  return carry;
}

Status StageForward::add_to_residual(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  const bool follows = stage > 0 && leaves_carry(layer_.stages[stage - 1]);
  const bool routed = layer_.stages[stage].has_experts();
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  const auto run_step = [&](const Step& step) -> Status {
    // A step's rows are nowhere together among those of experts.
    const bool apart = routed && step.shape.sequences < batch.shape.sequences;
    RoutedRows carry = batch.carry;
    if (follows && (carry.empty() || apart)) {
      ROTOR_ASSIGN_OR_RETURN(const Tensor rows, room_again(stage - 1, step.shape.tokens()));
      carry = {rows, {}};
      ROTOR_RETURN_IF_ERROR(run(stage - 1, weights, step.shape, step.of(x), {}, &carry));
    } else if (!routed) {
      carry.rows = step.of(carry.rows);
    }
    RoutedRows none;
    return run(stage, weights, step.shape, step.of(x), carry, &none);
  };
  ROTOR_RETURN_IF_ERROR(in_steps(batch, run_step));
  batch.carry = {};
  const Tensor& waiting = batch.waiting;
  return waiting.empty() ? Status() : backend_.download(x, waiting.data(), waiting.bytes());
}

Status StageForward::run(size_t stage, const LayerWeights& weights, const BatchShape& shape,
                         const Tensor& x, const RoutedRows& carry_in, RoutedRows* carry_out) {
  const Stage& what = layer_.stages[stage];
  const StageWeights& with = weights.stages[stage];
  ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, decoder_.stage_input(what, with, x, carry_in));
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
