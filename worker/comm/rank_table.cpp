#include "worker/comm/rank_table.h"

#include <algorithm>
#include <utility>

namespace rotor::worker {
namespace {

constexpr Seconds kLongestStep{1};

// Ranks of one speed wait, too: for the one that factorizes a Hessian, for uneven lanes. A rank
// that is ten times slower waits for nobody, and the others nine tenths of their time.
constexpr double kStragglerWaits = 0.2;
constexpr double kOthersWait = 0.6;

}  // namespace

RankTable::RankTable(std::vector<RankIdentity> ranks, std::vector<int> watched, Options options)
    : options_(options), watched_(ranks.size(), false), before_(ranks.size(), 0.0) {
  for (RankIdentity& identity : ranks) {
    ranks_.emplace_back().identity = std::move(identity);
  }
  for (const int rank : watched) {
    watched_[static_cast<size_t>(rank)] = true;
  }
}

void RankTable::heard(int rank, const RankBeat& beat) {
  const auto index = static_cast<size_t>(rank);
  ranks_[index].heard = true;
  ranks_[index].beat = beat;
  ranks_[index].silent = Seconds(0);
  if (beat.leaving) {
    watched_[index] = false;
  }
}

void RankTable::pass(Seconds elapsed) {
  new_straggler_.reset();
  const Seconds step = std::min(elapsed, kLongestStep);
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (watched_[rank]) {
      ranks_[rank].silent += step;
    }
  }
  window_ += step;
  if (window_ >= options_.window) {
    end_window();
  }
}

void RankTable::end_window() {
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    RankStatus& status = ranks_[rank];
    status.wait_share =
        std::clamp((status.beat.waited - before_[rank]) / window_.count(), 0.0, 1.0);
    before_[rank] = status.beat.waited;
  }
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    bool straggler = ranks_.size() > 1 && ranks_[rank].wait_share < kStragglerWaits;
    for (size_t other = 0; other < ranks_.size(); ++other) {
      straggler = straggler && (other == rank || ranks_[other].wait_share > kOthersWait);
    }
    if (straggler && !ranks_[rank].straggler) {
      new_straggler_ = static_cast<int>(rank);
    }
    ranks_[rank].straggler = straggler;
  }
  window_ = Seconds(0);
}

std::optional<int> RankTable::lost() const {
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (watched_[rank] && ranks_[rank].silent >= options_.silence) {
      return static_cast<int>(rank);
    }
  }
  return std::nullopt;
}

}  // namespace rotor::worker
