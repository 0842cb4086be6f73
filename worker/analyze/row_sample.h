// Rows of a large matrix, evenly spaced, brought to host memory as F32 while the matrix comes by
// piece by piece: what an analysis measures on, so that its cost does not grow with the model.
//
// Owns: the rows that were taken. Thread-safety: one caller. Fails: as the backend.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/backend/backend.h"

namespace rotor::worker {

class RowSample {
 public:
  /// Of `total` rows as many as `values` numbers hold, at least kLeastRows where there are so many.
  RowSample(int64_t total, int64_t cols, int64_t values);

  /// The next rows, in the backend's activation dtype or F32.
  Status add(Backend& backend, const Tensor& rows);

  int64_t rows() const { return std::ssize(values_) / cols_; }
  int64_t cols() const { return cols_; }
  const std::vector<float>& values() const { return values_; }

 private:
  static constexpr int64_t kLeastRows = 16;

  int64_t cols_;
  int64_t stride_;
  int64_t seen_ = 0;
  std::vector<float> values_;
};

}  // namespace rotor::worker
