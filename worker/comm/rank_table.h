// What a rank knows of the others of its group, from their heartbeats: who has fallen silent, and
// whom the others wait for.
//
// Silence is counted in time that this process itself ran: a group that was stopped as a whole and
// wakes has lost nobody. Plain computing, no clock of its own. Thread-safety: none. Never fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rotor::worker {

using Seconds = std::chrono::duration<double>;

/// What a rank says of itself. Sent as its bytes: the ranks of a gang are one build.
struct RankBeat {
  uint64_t collectives = 0;  // begun
  double waited = 0;         // seconds that it has spent in them
  int64_t memory_bytes = 0;  // resident
  double cpu_cores = 0;      // busy with it since its last beat, on average
  bool leaving = false;      // it ends in good order: no more will come
};

struct RankIdentity {
  std::string host;
  int64_t process = 0;
};

struct RankStatus {
  RankIdentity identity;
  bool heard = false;
  RankBeat beat;  // the last one
  Seconds silent{0};
  double wait_share = 0;   // of the last whole window, spent waiting for others
  bool straggler = false;  // the others waited for it most of that window
};

class RankTable {
 public:
  struct Options {
    Seconds silence{20};  // after which a rank counts as lost
    Seconds window{30};   // over which waiting is measured
  };

  /// `watched`: the ranks whose heartbeats come here.
  RankTable(std::vector<RankIdentity> ranks, std::vector<int> watched, Options options);

  void heard(int rank, const RankBeat& beat);
  /// Time goes by. Call it every second or more often: of a longer step, in which this process did
  /// not run, one second counts.
  void pass(Seconds elapsed);
  /// A rank that has been silent for too long.
  std::optional<int> lost() const;
  /// A rank that became a straggler with the last call of pass().
  std::optional<int> new_straggler() const { return new_straggler_; }
  const std::vector<RankStatus>& ranks() const { return ranks_; }

 private:
  void end_window();

  const Options options_;
  std::vector<RankStatus> ranks_;
  std::vector<bool> watched_;
  Seconds window_{0};           // so far
  std::vector<double> before_;  // RankBeat::waited at its start
  std::optional<int> new_straggler_;
};

}  // namespace rotor::worker
