// Activations for a layer of random weights that are correlated as those of real models are: most
// of their variance in few directions, a noise floor in all, and some channels far larger than the
// rest. Without that GPTQ would have nothing to gain, and factorizations and scale searches would
// see matrices that no model has.
//
// The numbers are functions of the seed and their place: any number of ranks works on the same
// ones. They are made on the host (random_values.h) and mixed by the backend's own products.
//
// Owns: two mixing matrices on the backend. Thread-safety: as the backend.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/pipeline/micro_batches.h"

namespace rotor::worker::bench {

class RandomActivations {
 public:
  /// Rank of the strong directions: a quarter of `hidden`.
  static Result<RandomActivations> create(Backend& backend, Parallel& parallel, int64_t hidden,
                                          uint64_t seed);

  /// The micro-batches [mine.begin, mine.end) of `cut`, residual streams filled; `spilled`: in host
  /// memory.
  Result<std::vector<MicroBatch>> make(const BatchCut& cut, const Range& mine,
                                       bool spilled = false);

 private:
  RandomActivations(Backend& backend, Parallel& parallel, uint64_t seed)
      : backend_(&backend), parallel_(&parallel), seed_(seed) {}

  Backend* backend_;
  Parallel* parallel_;
  uint64_t seed_;
  Tensor directions_;  // BF16 [hidden, rank], weaker from column to column
  Tensor noise_;       // BF16 [hidden, hidden]: a row for each token, chosen at random
};

}  // namespace rotor::worker::bench
