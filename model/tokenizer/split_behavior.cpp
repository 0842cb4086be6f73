#include "model/tokenizer/split_behavior.h"

namespace rotor {

bool SegmentJoiner::joins(bool is_match) const {
  switch (behavior_) {
    case SplitBehavior::kRemoved:
    case SplitBehavior::kIsolated:
      return false;
    case SplitBehavior::kMergedWithPrevious:
      return is_match && !pending_is_match_;
    case SplitBehavior::kMergedWithNext:
      return !is_match && pending_is_match_;
    case SplitBehavior::kContiguous:
      return is_match == pending_is_match_;
  }
  return false;
}

Status SegmentJoiner::add(std::string_view segment, bool is_match) {
  if (behavior_ == SplitBehavior::kRemoved && is_match) {
    return {};
  }
  if (has_pending_ && joins(is_match)) {
    pending_ = {pending_.data(), pending_.size() + segment.size()};
    // A match before something takes it in and is no match any more: nothing else joins it.
    pending_is_match_ = behavior_ == SplitBehavior::kMergedWithNext ? false : is_match;
    return {};
  }
  ROTOR_RETURN_IF_ERROR(finish());
  pending_ = segment;
  pending_is_match_ = is_match;
  has_pending_ = true;
  return {};
}

Status SegmentJoiner::finish() {
  if (!has_pending_) {
    return {};
  }
  has_pending_ = false;
  return pending_.empty() ? Status() : sink_(whole_.part(pending_));
}

}  // namespace rotor
