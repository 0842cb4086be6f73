// Largest magnitudes of activations, kept on the backend and looked at once a stage, so that no
// micro-batch waits for the device.
//
// Thread-safety: the main thread's. Fails: as the backend.
#pragma once

#include <vector>

#include "worker/backend/backend.h"

namespace rotor::worker {

class InputPeaks {
 public:
  /// `count` of them, all zero.
  static Result<InputPeaks> create(Backend& backend, int64_t count);

  /// The one at `place` becomes at least max|x|; a NaN counts as larger than anything.
  Status fold(int64_t place, const Tensor& x) {
    return backend_->fold_max_abs(x, peaks_.row_range(place, 1));
  }
  /// Waits.
  Result<std::vector<float>> values() const;

 private:
  InputPeaks(Backend& backend, Tensor peaks) : backend_(&backend), peaks_(std::move(peaks)) {}

  Backend* backend_;
  Tensor peaks_;  // F32 [count, 1]
};

}  // namespace rotor::worker
