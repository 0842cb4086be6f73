#include "model/calibration/window_cutter.h"

#include <algorithm>
#include <utility>

namespace rotor {
namespace {

constexpr int64_t kMostIds = int64_t{1} << 62;

}  // namespace

WindowCutter::WindowCutter(int64_t seq_len, int64_t most_windows)
    : seq_len_(seq_len), most_windows_(std::min(most_windows, kMostIds / seq_len)) {}

int64_t WindowCutter::windows() const {
  return static_cast<int64_t>(ids_.size()) / seq_len_;
}

int64_t WindowCutter::missing_ids() const {
  return std::max(int64_t{0}, most_windows_ * seq_len_ - static_cast<int64_t>(ids_.size()));
}

void WindowCutter::append(std::span<const int32_t> ids) {
  seen_ids_ += static_cast<int64_t>(ids.size());
  const auto count = std::min(static_cast<int64_t>(ids.size()), missing_ids());
  ids_.insert(ids_.end(), ids.begin(), ids.begin() + count);
}

void WindowCutter::end_run() {
  ids_.resize(static_cast<size_t>(windows() * seq_len_));
}

void WindowCutter::add_document(std::span<const int32_t> ids) {
  seen_ids_ += static_cast<int64_t>(ids.size());
  if (static_cast<int64_t>(ids.size()) < seq_len_) {
    ++short_documents_;
    return;
  }
  if (!full()) {
    ids_.insert(ids_.end(), ids.begin(), ids.begin() + seq_len_);
  }
}

TokenWindows WindowCutter::take() {
  end_run();
  return {seq_len_, std::move(ids_)};
}

}  // namespace rotor
