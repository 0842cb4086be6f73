// Memory that the decoder uses between its calls to the backend, kept for the next micro-batch.
//
// Owns: one tensor for each (slot, width) that was asked for; grows to the largest micro-batch and
// never shrinks. Thread-safety: one caller at a time. Fails: RESOURCE_EXHAUSTED from the backend.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "model/carry.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

class DecoderScratch {
 public:
  enum class Slot {
    kNormed,
    kTransformed,
    kQuery,
    kKey,
    kValue,
    kKeyValue,
    kGate,
    kBeta,
    kAlpha,
    kUp,
    kOutput,
    kExpert,
    kScore
  };
  /// Slots of the carry are of their own.
  using Key = std::variant<Slot, CarrySlot>;

  /// [rows, cols] in the backend's activation dtype; contents are left from the last use.
  Result<Tensor> take(Backend& backend, Key slot, int64_t rows, int64_t cols);

 private:
  struct Entry {
    Key slot;
    Tensor tensor;
  };
  std::vector<Entry> entries_;
};

}  // namespace rotor::worker
