// Rows of a large matrix, one out of each run of as many, brought to host memory as F32 while the
// matrix comes by piece by piece: what an analysis measures on, so that its cost does not grow with
// the model. Where in a run the row is changes from run to run, the same every time: rows at one
// distance could be the first tokens of all windows, which are like no others.
//
// Owns: the rows that were taken. Thread-safety: one caller. Fails: as the backend.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/backend/backend.h"

namespace rotor::worker {

class RowSample {
 public:
  /// Of `total` rows at most as many as `values` numbers hold, or kLeastRows where that is more.
  RowSample(int64_t total, int64_t cols, int64_t values);

  /// The next rows, in the backend's activation dtype or F32.
  Status add(Backend& backend, const Tensor& rows);

  int64_t rows() const { return std::ssize(values_) / cols_; }
  int64_t cols() const { return cols_; }
  const std::vector<float>& values() const { return values_; }

 private:
  static constexpr int64_t kLeastRows = 16;

  int64_t next_row() const;

  int64_t cols_;
  int64_t run_;  // rows that one is taken of
  int64_t taken_ = 0;
  int64_t seen_ = 0;
  std::vector<float> values_;
};

}  // namespace rotor::worker
