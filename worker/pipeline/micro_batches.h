// The activations of a set of token windows while they travel through the model: this rank's
// micro-batches, each with its residual stream and the carry between two stages.
//
// Owns: one residual stream a micro-batch, [tokens, hidden], on the device or in host memory.
// Thread-safety: main thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "model/calibration/token_windows.h"
#include "worker/model/decoder.h"
#include "worker/pipeline/lane_tree.h"

namespace rotor::worker {

struct MicroBatch {
  int64_t index = 0;  // in the whole set
  int64_t first_sequence = 0;
  BatchShape shape;
  Tensor x;        // residual stream; empty where it waits in host memory
  Tensor waiting;  // there
  Carry carry;     // what stages left and is kept
};

/// How a set of windows is cut, the same on every rank.
struct BatchCut {
  int64_t sequences = 0;
  int64_t seq_len = 0;
  int64_t sequences_per_batch = 1;
  int64_t lanes = 1;

  int64_t batches() const { return (sequences + sequences_per_batch - 1) / sequences_per_batch; }
  int64_t tokens() const { return sequences * seq_len; }
  int64_t batch_tokens() const { return std::min(sequences_per_batch, sequences) * seq_len; }
  /// The micro-batches of a lane.
  Range lane(int64_t lane) const { return share(batches(), lanes, lane); }
  /// The micro-batches of a rank: those of its lanes.
  Range of_rank(int ranks, int rank) const;
  int64_t tokens_of_rank(int ranks, int rank) const;
  /// Shape and place of a micro-batch; its tensors are empty.
  MicroBatch batch(int64_t index) const;
};

/// Moves the residual stream of a micro-batch to host memory.
Status spill(Backend& backend, MicroBatch& batch);

/// A micro-batch of its own, with the same residual stream in the same place, and no carry.
Result<MicroBatch> copy_of(Backend& backend, const MicroBatch& batch);

/// Embeds this rank's micro-batches of `windows`; `spilled`: into host memory.
Result<std::vector<MicroBatch>> embed_batches(Backend& backend, Decoder& decoder,
                                              const EndWeights& ends, const TokenWindows& windows,
                                              const BatchCut& cut, const Range& mine,
                                              bool spilled = false);

/// The token ids of a micro-batch.
std::span<const int32_t> batch_ids(const TokenWindows& windows, const MicroBatch& batch);

/// INVALID_ARGUMENT (reason NOT_FINITE) naming `what` and the batch's sequences, unless `largest`,
/// the batch's largest magnitude, is finite.
Status expect_finite(float largest, const MicroBatch& batch, const std::string& what);

}  // namespace rotor::worker
