// Moves micro-batches through the stages of one layer within the memory there is: carries that the
// memory plan does not keep are computed again, residual streams that wait in host memory come to
// the device and go back, and where memory runs out all the same a micro-batch is run in steps of
// half as many sequences. Results are the same bytes in every case: what a sequence gives does not
// depend on the others of its step.
//
// Owns: what was computed again last, and device memory for one residual stream. Thread-safety:
// main thread. Errors: RESOURCE_EXHAUSTED where not even one sequence fits; those of the backend.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "worker/model/decoder.h"
#include "worker/pipeline/memory_plan.h"
#include "worker/pipeline/micro_batches.h"

namespace rotor::worker {

class StageForward {
 public:
  /// All must outlive it.
  StageForward(Backend& backend, Decoder& decoder, const Layer& layer, const MemoryPlan& memory)
      : backend_(backend), decoder_(decoder), layer_(layer), memory_(memory) {}

  /// The input that the stage's linears share (Decoder::stage_input). Where what it takes was not
  /// kept, the stages that make it run again, on their `weights`. Valid until the next call.
  Result<RoutedRows> input(size_t stage, const LayerWeights& weights, const MicroBatch& batch);

  /// Behind the stage: leaves in batch.carry what the plan keeps, or adds to the residual stream.
  Status finish(size_t stage, const LayerWeights& weights, MicroBatch& batch);

  /// Gives back what is kept between calls, for work that needs the memory more; what input()
  /// returned is gone.
  void release();

  /// Through all stages: x in, x out, no carry kept.
  Status forward(const LayerWeights& weights, MicroBatch& batch);

 private:
  /// Some sequences of a micro-batch, from a row on, with their residual stream.
  struct Step {
    BatchShape shape;
    int64_t row = 0;
    Tensor x = {};
    Tensor of(const Tensor& whole) const { return whole.row_range(row, shape.tokens()); }
  };
  static Step whole(const MicroBatch& batch, const Tensor& x) { return {batch.shape, 0, x}; }

  Result<Tensor> resident(const MicroBatch& batch);
  /// In as many steps as memory asks for; a step's row counts from that of `range`.
  Status in_steps(const Step& range, const std::function<Status(const Step&)>& run);
  /// The slots that a stage takes, or the first of them alone, for the rows of a step: those that
  /// were kept, the others computed again.
  Result<Carry> taken(size_t stage, bool first_alone, const LayerWeights& weights,
                      const MicroBatch& batch, const Step& step);
  Status gather(CarrySlot slot, size_t before, const LayerWeights& weights, const MicroBatch& batch,
                const Step& step, Carry* carry);
  /// The stage on the rows of a range, which are those of its carries.
  Status run(size_t stage, const LayerWeights& weights, const Step& range, const Carry& carry,
             Carry* left);
  Status run_step(size_t stage, const LayerWeights& weights, const Step& step, const Carry& carry,
                  Carry* left);
  /// Memory for activations; what the decoder keeps for the next call goes first.
  Result<Tensor> take(int64_t rows, int64_t cols);
  /// Room for a slot that is computed again.
  Result<Tensor> room_again(const CarryPart& part, int64_t tokens);
  Status leave_carry(size_t stage, const LayerWeights& weights, MicroBatch& batch);
  Status add_to_residual(size_t stage, const LayerWeights& weights, MicroBatch& batch);

  Backend& backend_;
  Decoder& decoder_;
  const Layer& layer_;
  const MemoryPlan& memory_;
  std::map<CarrySlot, Tensor> again_;  // what was computed again last
  size_t again_for_ = 0;               // the stage that took it
  Tensor staging_;                     // a residual stream that waits in host memory
  std::optional<int64_t> step_;        // sequences at a time, once memory ran out
};

}  // namespace rotor::worker
