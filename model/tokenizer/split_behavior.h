// What becomes of the matches of a pattern when a text is split by it.
#pragma once

#include <functional>
#include <string_view>

#include "quant/base/status.h"

namespace rotor {

/// Takes a piece of text; an error ends the work and is handed on.
using PieceSink = std::function<Status(std::string_view piece)>;

/// As the tokenizers library names them.
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,  // neighbours of the same kind become one piece
};

/// Puts the segments of one text together to pieces, one segment behind, so that a text of any
/// length needs no list of them. Give the segments from left to right, then call finish.
class SegmentJoiner {
 public:
  SegmentJoiner(SplitBehavior behavior, const PieceSink& sink) : behavior_(behavior), sink_(sink) {}

  Status add(std::string_view segment, bool is_match);
  Status finish();

 private:
  bool joins(bool is_match) const;

  SplitBehavior behavior_;
  const PieceSink& sink_;
  std::string_view pending_;
  bool has_pending_ = false;
  bool pending_is_match_ = false;
};

}  // namespace rotor
