#include "worker/pipeline/stage_forward.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace rotor::worker {
namespace {

bool leaves_carry(const Stage& stage) {
  return !stage.leaves.empty();
}

bool leaves(const Stage& stage, CarrySlot slot) {
  return std::any_of(stage.leaves.begin(), stage.leaves.end(),
                     [&](const CarryPart& part) { return part.slot == slot; });
}

bool is_out_of_memory(const Status& status) {
  return status.code() == Code::kResourceExhausted;
}

}  // namespace

Result<RoutedRows> StageForward::input(size_t stage, const LayerWeights& weights,
                                       const MicroBatch& batch) {
  const Stage& what = layer_.stages[stage];
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  Carry carry;
  if (!reads_residual(what)) {
    ROTOR_ASSIGN_OR_RETURN(carry, taken(stage, true, weights, batch, whole(batch, x)));
  }
  return decoder_.stage_input(what, weights.stages[stage], x, carry);
}

Status StageForward::finish(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  return leaves_carry(layer_.stages[stage]) ? leave_carry(stage, weights, batch)
                                            : add_to_residual(stage, weights, batch);
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
  again_.clear();
  staging_ = Tensor();
  decoder_.release_scratch();
}

Status StageForward::leave_carry(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  const Stage& what = layer_.stages[stage];
  if (!memory_.keeps(what)) {
    return {};  // what it takes stays, to make it again
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  Carry left;
  for (const CarryPart& part : what.leaves) {
    Result<Tensor> rows = take(batch.shape.tokens(), part.features);
    if (is_out_of_memory(rows.status())) {
      // The plan is an estimate. What is not kept is computed again.
      spdlog::warn("layer {}: no room to keep a carry, it will be computed again: {}", layer_.index,
                   rows.status().message());
      return {};
    }
    ROTOR_RETURN_IF_ERROR(rows.status());
    left.put(part.slot, std::move(rows).value());
  }
  const Step all = whole(batch, x);
  ROTOR_ASSIGN_OR_RETURN(const Carry carry, taken(stage, false, weights, batch, all));
  ROTOR_RETURN_IF_ERROR(run(stage, weights, all, carry, &left));
  batch.carry.pass(what, left);
  return {};
}

Status StageForward::add_to_residual(size_t stage, const LayerWeights& weights, MicroBatch& batch) {
  ROTOR_ASSIGN_OR_RETURN(const Tensor x, resident(batch));
  ROTOR_RETURN_IF_ERROR(in_steps(whole(batch, x), [&](const Step& step) -> Status {
    ROTOR_ASSIGN_OR_RETURN(const Carry carry, taken(stage, false, weights, batch, step));
    Carry none;
    return run_step(stage, weights, step, carry, &none);
  }));
  batch.carry = {};
  const Tensor& waiting = batch.waiting;
  return waiting.empty() ? Status() : backend_.download(x, waiting.data(), waiting.bytes());
}

Result<Carry> StageForward::taken(size_t stage, bool first_alone, const LayerWeights& weights,
                                  const MicroBatch& batch, const Step& step) {
  if (again_for_ != stage) {
    again_.clear();
    again_for_ = stage;
  }
  Carry carry;
  for (const CarrySlot slot : layer_.stages[stage].takes) {
    ROTOR_RETURN_IF_ERROR(gather(slot, stage, weights, batch, step, &carry));
    if (first_alone) {
      break;
    }
  }
  return carry;
}

Status StageForward::gather(CarrySlot slot, size_t before, const LayerWeights& weights,
                            const MicroBatch& batch, const Step& step, Carry* carry) {
  if (carry->has(slot)) {
    return {};
  }
  size_t maker = before - 1;
  while (!leaves(layer_.stages[maker], slot)) {
    --maker;
  }
  const Stage& what = layer_.stages[maker];
  // A step's rows are nowhere together among those of experts.
  const bool apart = what.has_experts() && step.shape.sequences < batch.shape.sequences;
  if (const Tensor kept = batch.carry.find(slot); !kept.empty() && !apart) {
    carry->put(slot, what.has_experts() ? kept : step.of(kept));
    carry->routing = what.has_experts() ? batch.carry.routing : carry->routing;
    return {};
  }
  for (const CarrySlot taken : what.takes) {
    ROTOR_RETURN_IF_ERROR(gather(taken, maker, weights, batch, step, carry));
  }
  Carry left;
  for (const CarryPart& part : what.leaves) {
    ROTOR_ASSIGN_OR_RETURN(Tensor rows, room_again(part, step.shape.tokens()));
    left.put(part.slot, std::move(rows));
  }
  ROTOR_RETURN_IF_ERROR(run(maker, weights, step, *carry, &left));
  for (const CarryPart& part : what.leaves) {
    carry->put(part.slot, left.find(part.slot));
  }
  carry->routing = what.has_experts() ? left.routing : carry->routing;
  return {};
}

Status StageForward::run(size_t stage, const LayerWeights& weights, const Step& range,
                         const Carry& carry, Carry* left) {
  const Stage& what = layer_.stages[stage];
  if (what.has_experts()) {
    // Its rows lie by expert, over all sequences; besides them the stage needs little.
    return run_step(stage, weights, range, carry, left);
  }
  return in_steps(range, [&](const Step& step) -> Status {
    Carry part;
    for (const CarrySlot slot : what.takes) {
      part.put(slot, step.of(carry.find(slot)));
    }
    Carry rows;
    for (const CarryPart& made : what.leaves) {
      rows.put(made.slot, step.of(left->find(made.slot)));
    }
    return run_step(stage, weights, step, part, &rows);
  });
}

Status StageForward::run_step(size_t stage, const LayerWeights& weights, const Step& step,
                              const Carry& carry, Carry* left) {
  const Stage& what = layer_.stages[stage];
  const StageWeights& with = weights.stages[stage];
  ROTOR_ASSIGN_OR_RETURN(const RoutedRows input, decoder_.stage_input(what, with, step.x, carry));
  return decoder_.finish_stage(what, with, step.shape, input, step.x, carry, left);
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

Result<Tensor> StageForward::room_again(const CarryPart& part, int64_t tokens) {
  Tensor& room = again_[part.slot];
  if (room.empty() || room.cols() != part.features || room.rows() < tokens) {
    room = Tensor();
    ROTOR_ASSIGN_OR_RETURN(room, take(tokens, part.features));
  }
  return room.row_range(0, tokens);
}

Result<Tensor> StageForward::take(int64_t rows, int64_t cols) {
  Result<Tensor> taken = backend_.allocate(backend_.activation_dtype(), rows, cols);
  if (is_out_of_memory(taken.status())) {
    decoder_.release_scratch();
    taken = backend_.allocate(backend_.activation_dtype(), rows, cols);
  }
  return taken;
}

Status StageForward::in_steps(const Step& range, const std::function<Status(const Step&)>& run) {
  const int64_t sequences = range.shape.sequences;
  const int64_t seq_len = range.shape.seq_len;
  for (int64_t done = 0; done < sequences;) {
    const int64_t count = std::min(step_.value_or(sequences), sequences - done);
    Step step{{count, seq_len}, done * seq_len};
    step.x = step.of(range.x);
    // A stage takes its memory before it changes anything, so one that failed can run again.
    const Status status = run(step);
    if (status.ok()) {
      done += count;
      continue;
    }
    if (!is_out_of_memory(status) || count == 1) {
      return status;
    }
    step_ = (count + 1) / 2;
    again_.clear();
    decoder_.release_scratch();
    spdlog::warn("layer {}: {}: micro-batches of {} sequences go on in steps of {}", layer_.index,
                 status.message(), sequences, *step_);
  }
  return {};
}

}  // namespace rotor::worker
