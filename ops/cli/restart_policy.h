// When a program that died is started again: at most three times in a row without progress, each
// time after a longer pause. Time comes from the caller. Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <optional>

namespace rotor::cli {

class RestartPolicy {
 public:
  static constexpr int kMostWithoutProgress = 3;
  static constexpr double kFirstPauseSeconds = 0.5;

  /// A layer was committed: earlier deaths no longer count.
  void progress() { deaths_ = 0; }
  /// It died: how long to wait before starting it again; nothing: give up.
  std::optional<double> death() {
    if (++deaths_ > kMostWithoutProgress) {
      return std::nullopt;
    }
    return kFirstPauseSeconds * static_cast<double>(1 << (deaths_ - 1));
  }
  int deaths() const { return deaths_; }

 private:
  int deaths_ = 0;
};

}  // namespace rotor::cli
