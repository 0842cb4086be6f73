// Moves micro-batches through the stages of one layer within the memory there is: carries that the
// memory plan does not keep are computed again, residual streams that wait in host memory come to
// the device and go back, and where memory runs out all the same a micro-batch is run in steps of
// half as many sequences. Results are the same bytes in every case: what a sequence gives does not
// depend on the others of its step.
//
// Owns: the carry that was computed last, and device memory for one residual stream. Thread-safety:
// main thread. Errors: RESOURCE_EXHAUSTED where not even one sequence fits; those of the backend.
#pragma once

#include <functional>
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

  /// The input that the stage's linears share (Decoder::stage_input). Where the stage before left
  /// no carry, it runs again, on its `weights`. Valid until the next call.
  Result<RoutedRows> input(size_t stage, const LayerWeights& weights, const MicroBatch& batch);

  /// Behind the stage: leaves batch.carry where the plan keeps it, or adds to the residual stream.
  Status finish(size_t stage, const LayerWeights& weights, MicroBatch& batch);

  /// Gives back what is kept between calls, for work that needs the memory more; what input()
  /// returned is gone.
  void release();

  /// Through all stages: x in, x out, no carry kept.
  Status forward(const LayerWeights& weights, MicroBatch& batch);

 private:
  /// Some sequences of a micro-batch, from a row on.
  struct Step {
    BatchShape shape;
    int64_t row = 0;
    Tensor of(const Tensor& whole) const {
      return whole.empty() ? whole : whole.row_range(row, shape.tokens());
    }
  };

  Result<Tensor> resident(const MicroBatch& batch);
  Status in_steps(const MicroBatch& batch, const std::function<Status(const Step&)>& run);
  /// The stage on the rows of a step.
  Status run(size_t stage, const LayerWeights& weights, const BatchShape& shape, const Tensor& x,
             const RoutedRows& carry_in, RoutedRows* carry_out);
  /// What the stage leaves for a whole micro-batch, into `rows` [tokens, carry features].
  Result<RoutedRows> make_carry(size_t stage, const LayerWeights& weights, const MicroBatch& batch,
                                const Tensor& x, const Tensor& rows);
  /// Memory for activations; what the decoder keeps for the next call goes first.
  Result<Tensor> take(int64_t rows, int64_t cols);
  /// Room for a carry of the stage that is computed again.
  Result<Tensor> room_again(size_t stage, int64_t tokens);
  Status leave_carry(size_t stage, const LayerWeights& weights, MicroBatch& batch);
  Status add_to_residual(size_t stage, const LayerWeights& weights, MicroBatch& batch);

  Backend& backend_;
  Decoder& decoder_;
  const Layer& layer_;
  const MemoryPlan& memory_;
  Tensor again_;                 // the carry that was computed last
  Tensor staging_;               // a residual stream that waits in host memory
  std::optional<int64_t> step_;  // sequences at a time, once memory ran out
};

}  // namespace rotor::worker
