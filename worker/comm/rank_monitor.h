// Notices that a rank of the group has stopped: in a collective over MPI the others would wait for
// it without end and without a word. Each rank's own thread sends a heartbeat to the first rank
// every second, which answers with its own, so that a rank that is slow, or computes for minutes,
// is not taken for one that is gone. Where a rank falls silent the process says who, and ends;
// mpirun then ends the gang, which is started again.
//
// Design goals: no address, port or file of its own (the messages go over MPI, on a communicator
// that nothing else uses), one bound for every collective. Not goals: ranks that hang while their
// threads run (a kernel of a GPU: collective_watchdog.h), links that only some ranks lose.
//
// Owns: a thread and a communicator. Thread-safety: all members from any thread. Cost: two messages
// of 40 bytes a rank and second.
#pragma once

#include <mpi.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "quant/base/status.h"
#include "worker/comm/rank_table.h"
#include "worker/comm/wait_meter.h"

namespace rotor::worker {

class RankMonitor {
 public:
  /// Collective over `comm`. A group of one, and an MPI that lets only one thread call it, get no
  /// thread: then only what this rank knows of itself is told. `meter` must outlive the object.
  RankMonitor(MPI_Comm comm, const WaitMeter& meter, RankTable::Options options);
  /// Collective, but waits for the others no longer than a second.
  ~RankMonitor();
  RankMonitor(const RankMonitor&) = delete;
  RankMonitor& operator=(const RankMonitor&) = delete;

  /// By rank; ranks other than the first know only of it and of themselves.
  std::vector<RankStatus> ranks();

 private:
  void run();
  /// This rank's own state, with what it used since the call before.
  RankBeat take_beat();
  void send(const RankBeat& beat);
  void receive();
  bool all_left();
  [[noreturn]] void give_up(int lost);

  const WaitMeter& meter_;
  const RankTable::Options options_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::vector<int> peers_;  // that this rank sends to and hears from
  struct Outgoing;
  std::vector<std::unique_ptr<Outgoing>> outgoing_;  // by peer

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<RankTable> table_;
  double cpu_before_ = 0;  // seconds of this process, at the last beat
  std::chrono::steady_clock::time_point beat_before_;
  bool stop_ = false;
  std::thread thread_;
};

/// The limits that ROTOR_SILENT_RANK_SECONDS and ROTOR_STRAGGLER_SECONDS set, or the defaults.
/// INVALID_ARGUMENT for what is not a number of seconds from 1 to 10^6.
Result<RankTable::Options> rank_limits();

}  // namespace rotor::worker
