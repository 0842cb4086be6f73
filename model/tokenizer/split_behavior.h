// What becomes of the matches of a pattern when a text is split by it.
#pragma once

#include <string_view>

#include "model/tokenizer/piece.h"
#include "quant/base/status.h"

namespace rotor {

/// As the tokenizers library names them.
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,  // neighbours of the same kind become one piece
};

/// Puts the segments of `whole` together to pieces, one segment behind, so that a text of any
/// length needs no list of them. Give the segments from left to right, then call finish.
class SegmentJoiner {
 public:
  SegmentJoiner(SplitBehavior behavior, const Piece& whole, const PieceSink& sink)
      : behavior_(behavior), whole_(whole), sink_(sink) {}

  Status add(std::string_view segment, bool is_match);
  Status finish();

 private:
  bool joins(bool is_match) const;

  SplitBehavior behavior_;
  Piece whole_;
  const PieceSink& sink_;
  std::string_view pending_;
  bool has_pending_ = false;
  bool pending_is_match_ = false;
};

}  // namespace rotor
