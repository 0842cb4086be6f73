#include "worker/pipeline/micro_batches.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace rotor::worker {

Range BatchCut::of_rank(int ranks, int rank) const {
  const Range mine = share(lanes, ranks, rank);
  if (mine.size() == 0) {
    return {};
  }
  return {lane(mine.begin).begin, lane(mine.end - 1).end};
}

MicroBatch BatchCut::batch(int64_t index) const {
  MicroBatch result;
  result.index = index;
  result.first_sequence = index * sequences_per_batch;
  result.shape.sequences = std::min(sequences_per_batch, sequences - result.first_sequence);
  result.shape.seq_len = seq_len;
  return result;
}

Result<std::vector<MicroBatch>> embed_batches(Backend& backend, Decoder& decoder,
                                              const EndWeights& ends, const TokenWindows& windows,
                                              const BatchCut& cut, const Range& mine) {
  std::vector<MicroBatch> batches;
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    MicroBatch batch = cut.batch(i);
    ROTOR_ASSIGN_OR_RETURN(batch.x, backend.allocate(backend.activation_dtype(),
                                                     batch.shape.tokens(), ends.embedding.cols()));
    ROTOR_RETURN_IF_ERROR(decoder.embed(ends, batch_ids(windows, batch), batch.x));
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
