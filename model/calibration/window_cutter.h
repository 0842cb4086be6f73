// Collects token ids and cuts them into windows, up to a limit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/calibration/token_windows.h"

namespace rotor {

class WindowCutter {
 public:
  /// seq_len >= 1.
  WindowCutter(int64_t seq_len, int64_t most_windows);

  /// Ids that follow one another, to be cut without regard to where one call ends.
  void append(std::span<const int32_t> ids);
  /// Drops what is left of the ids appended since the last cut.
  void end_run();
  /// One window of the first ids; a document shorter than a window is passed over and counted.
  void add_document(std::span<const int32_t> ids);

  bool full() const { return windows() >= most_windows_; }
  /// Ids that can still be used, those of an unfinished window taken off; at most 2^62.
  int64_t missing_ids() const;
  int64_t windows() const;
  int64_t seen_ids() const { return seen_ids_; }
  int64_t short_documents() const { return short_documents_; }
  /// The whole windows collected.
  TokenWindows take();

 private:
  int64_t seq_len_;
  int64_t most_windows_;
  int64_t seen_ids_ = 0;
  int64_t short_documents_ = 0;
  std::vector<int32_t> ids_;
};

}  // namespace rotor
