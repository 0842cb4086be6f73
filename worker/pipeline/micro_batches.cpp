#include "worker/pipeline/micro_batches.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

namespace rotor::worker {

Range BatchCut::of_rank(int ranks, int rank) const {
  const Range mine = share(lanes, ranks, rank);
  if (mine.size() == 0) {
    return {};
  }
  return {lane(mine.begin).begin, lane(mine.end - 1).end};
}

int64_t BatchCut::tokens_of_rank(int ranks, int rank) const {
  const Range mine = of_rank(ranks, rank);
  const auto first = [&](int64_t batch) {
    return std::min(batch * sequences_per_batch, sequences);
  };
  return (first(mine.end) - first(mine.begin)) * seq_len;
}

MicroBatch BatchCut::batch(int64_t index) const {
  MicroBatch result;
  result.index = index;
  result.first_sequence = index * sequences_per_batch;
  result.shape.sequences = std::min(sequences_per_batch, sequences - result.first_sequence);
  result.shape.seq_len = seq_len;
  return result;
}

Status spill(Backend& backend, MicroBatch& batch) {
  ROTOR_ASSIGN_OR_RETURN(auto memory, backend.allocate_host(batch.x.bytes()));
  batch.waiting = Tensor(batch.x.dtype(), batch.x.rows(), batch.x.cols(), std::move(memory));
  ROTOR_RETURN_IF_ERROR(backend.download(batch.x, batch.waiting.data(), batch.x.bytes()));
  batch.x = Tensor();
  return {};
}

Result<MicroBatch> copy_of(Backend& backend, const MicroBatch& batch) {
  MicroBatch copy = batch;
  copy.carry = {};
  const Tensor& waiting = batch.waiting;
  if (waiting.empty()) {
    ROTOR_ASSIGN_OR_RETURN(copy.x,
                           backend.allocate(batch.x.dtype(), batch.x.rows(), batch.x.cols()));
    ROTOR_RETURN_IF_ERROR(backend.copy(batch.x, copy.x));
    return copy;
  }
  ROTOR_ASSIGN_OR_RETURN(auto memory, backend.allocate_host(waiting.bytes()));
  std::memcpy(memory->data(), waiting.data(), waiting.bytes());
  copy.waiting = Tensor(waiting.dtype(), waiting.rows(), waiting.cols(), std::move(memory));
  return copy;
}

Result<std::vector<MicroBatch>> embed_batches(Backend& backend, Decoder& decoder,
                                              const EndWeights& ends, const TokenWindows& windows,
                                              const BatchCut& cut, const Range& mine,
                                              bool spilled) {
  std::vector<MicroBatch> batches;
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    MicroBatch batch = cut.batch(i);
    ROTOR_ASSIGN_OR_RETURN(batch.x, backend.allocate(backend.activation_dtype(),
                                                     batch.shape.tokens(), ends.embedding.cols()));
    ROTOR_RETURN_IF_ERROR(decoder.embed(ends, batch_ids(windows, batch), batch.x));
    if (spilled) {
      ROTOR_RETURN_IF_ERROR(spill(backend, batch));
    }
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::span<const int32_t> batch_ids(const TokenWindows& windows, const MicroBatch& batch) {
  return std::span<const int32_t>(windows.ids)
      .subspan(static_cast<size_t>(batch.first_sequence * windows.seq_len),
               static_cast<size_t>(batch.shape.tokens()));
}

Status expect_finite(float largest, const MicroBatch& batch, const std::string& what) {
  if (std::isfinite(largest)) {
    return {};
  }
  const std::string first = std::to_string(batch.first_sequence);
  const std::string last = std::to_string(batch.first_sequence + batch.shape.sequences - 1);
  return invalid_argument(what + " is not finite (" + std::to_string(largest) +
                          ") in calibration sequence " +
                          (first == last ? first : first + " to " + last) +
                          ": the model overflows on this text, or its weights are damaged")
      .with_reason("NOT_FINITE")
      .with_detail("where", what)
      .with_detail("sequence", first);
}

}  // namespace rotor::worker
