#include "worker/comm/rank_monitor.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "quant/base/exit_codes.h"
#include "worker/comm/environment_seconds.h"

namespace rotor::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBeat = std::chrono::seconds(1);
constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr auto kFarewell = std::chrono::seconds(1);
constexpr int kBeatTag = 1;

/// As it travels.
struct Identity {
  std::array<char, 128> host{};
  int64_t process = 0;
};

std::vector<RankIdentity> gather_identities(MPI_Comm comm, int size) {
  Identity mine;
  gethostname(mine.host.data(), mine.host.size() - 1);
  mine.process = getpid();
  std::vector<Identity> all(static_cast<size_t>(size));
  MPI_Allgather(&mine, sizeof(mine), MPI_BYTE, all.data(), sizeof(mine), MPI_BYTE, comm);
  std::vector<RankIdentity> identities;
  for (const Identity& identity : all) {
    identities.push_back({identity.host.data(), identity.process});
  }
  return identities;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t resident_bytes() {
  int64_t size = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace

/// A message that MPI may still be reading.
struct RankMonitor::Outgoing {
  RankBeat beat;
  MPI_Request request = MPI_REQUEST_NULL;

  bool done() {
    int flag = 1;
    MPI_Test(&request, &flag, MPI_STATUS_IGNORE);
    return flag != 0;
  }
};

RankMonitor::RankMonitor(MPI_Comm comm, const WaitMeter& meter, RankTable::Options options)
    : meter_(meter), options_(options), cpu_before_(cpu_seconds()), beat_before_(Clock::now()) {
  MPI_Comm_dup(comm, &comm_);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  int threads = MPI_THREAD_SINGLE;
  MPI_Query_thread(&threads);
  if (threads == MPI_THREAD_MULTIPLE) {
    for (int peer = rank_ == 0 ? 1 : 0; peer < (rank_ == 0 ? size_ : 1); ++peer) {
      peers_.push_back(peer);
      outgoing_.push_back(std::make_unique<Outgoing>());
    }
  } else if (size_ > 1 && rank_ == 0) {
    spdlog::warn("this MPI lets only one thread call it: a rank that stops is not noticed here");
  }
  table_ = std::make_unique<RankTable>(gather_identities(comm_, size_), peers_, options);
  if (!peers_.empty()) {
    thread_ = std::thread([this] { run(); });
  }
}

RankMonitor::~RankMonitor() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  MPI_Comm_free(&comm_);
}

std::vector<RankStatus> RankMonitor::ranks() {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) {
    table_->heard(rank_, take_beat());
  }
  return table_->ranks();
}

RankBeat RankMonitor::take_beat() {
  const Clock::time_point now = Clock::now();
  const double cpu = cpu_seconds();
  const double elapsed = std::max(Seconds(now - beat_before_).count(), 1e-3);
  RankBeat beat;
  beat.collectives = meter_.collectives();
  beat.waited = meter_.waited();
  beat.memory_bytes = resident_bytes();
  beat.cpu_cores = (cpu - cpu_before_) / elapsed;
  cpu_before_ = cpu;
  beat_before_ = now;
  return beat;
}

void RankMonitor::send(const RankBeat& beat) {
  for (size_t i = 0; i < peers_.size(); ++i) {
    Outgoing& outgoing = *outgoing_[i];
    if (outgoing.done()) {  // else the peer takes nothing in, and this would pile up
      outgoing.beat = beat;
      MPI_Isend(&outgoing.beat, sizeof(RankBeat), MPI_BYTE, peers_[i], kBeatTag, comm_,
                &outgoing.request);
    }
  }
}

void RankMonitor::receive() {
  while (true) {
    int waiting = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kBeatTag, comm_, &waiting, &status);
    if (waiting == 0) {
      return;
    }
    RankBeat beat;
    MPI_Recv(&beat, sizeof(beat), MPI_BYTE, status.MPI_SOURCE, kBeatTag, comm_, MPI_STATUS_IGNORE);
    const std::lock_guard lock(mutex_);
    table_->heard(status.MPI_SOURCE, beat);
  }
}

bool RankMonitor::all_left() {
  const std::lock_guard lock(mutex_);
  return std::all_of(peers_.begin(), peers_.end(), [this](int peer) {
    return table_->ranks()[static_cast<size_t>(peer)].beat.leaving;
  });
}

void RankMonitor::run() {
  Clock::time_point last = Clock::now();
  Clock::time_point next_beat = last;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const Clock::time_point now = Clock::now();
    if (now >= next_beat) {
      next_beat = now + kBeat;
      const RankBeat mine = take_beat();
      table_->heard(rank_, mine);
      lock.unlock();
      send(mine);
    } else {
      lock.unlock();
    }
    receive();
    lock.lock();
    table_->pass(now - std::exchange(last, now));
    if (const std::optional<int> lost = table_->lost()) {
      give_up(*lost);
    }
    if (const std::optional<int> slow = table_->new_straggler(); slow && rank_ == 0) {
      const RankIdentity& who = table_->ranks()[static_cast<size_t>(*slow)].identity;
      spdlog::warn(
          "rank {} of {}, process {} on {}, is a straggler: the others spend most of "
          "their time waiting for it",
          *slow, size_, who.process, who.host);
    }
    changed_.wait_for(lock, kPoll, [this] { return stop_; });
  }
  RankBeat farewell = take_beat();
  farewell.leaving = true;
  lock.unlock();
  // The last message of each rank: when it is in, none is left behind on the communicator.
  const Clock::time_point deadline = Clock::now() + kFarewell;
  for (const std::unique_ptr<Outgoing>& outgoing : outgoing_) {
    while (!outgoing->done() && Clock::now() < deadline) {
      receive();
    }
  }
  send(farewell);
  while (!all_left() && Clock::now() < deadline) {
    receive();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void RankMonitor::give_up(int lost) {
  const RankStatus& status = table_->ranks()[static_cast<size_t>(lost)];
  spdlog::critical(
      "rank {} of {}, process {} on {}, has given no sign of life for {:.0f} s, {} collectives in "
      "(this rank: {}): it is stopped, starved or cut off. Ending the process, so that mpirun ends "
      "the gang",
      lost, size_, status.identity.process, status.identity.host, status.silent.count(),
      status.beat.collectives, meter_.collectives());
  spdlog::default_logger()->flush();
  std::_Exit(kExitInterrupted);
}

Result<RankTable::Options> rank_limits() {
  RankTable::Options options;
  ROTOR_ASSIGN_OR_RETURN(const std::optional<std::chrono::seconds> silence,
                         environment_seconds("ROTOR_SILENT_RANK_SECONDS"));
  ROTOR_ASSIGN_OR_RETURN(const std::optional<std::chrono::seconds> window,
                         environment_seconds("ROTOR_STRAGGLER_SECONDS"));
  options.silence =
      silence.value_or(std::chrono::duration_cast<std::chrono::seconds>(options.silence));
  options.window =
      window.value_or(std::chrono::duration_cast<std::chrono::seconds>(options.window));
  return options;
}

}  // namespace rotor::worker
