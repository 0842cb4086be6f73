// The directory of one `rotor quantize`: the private coordinator's state, its port file and the
// logs. One process at a time holds its lock, which the kernel frees with the process.
// Thread-safety: one thread.
//
//   DIR/lock              held while a run is going on; holds its process id
//   DIR/coordinator/      --state-dir of the coordinator
//   DIR/port              written by the coordinator
//   DIR/token             what the coordinator's callers show
//   DIR/tokens            by what the coordinator knows them
//   DIR/prepared-calibration/  token ids, where the files named were prepared (job_calibration.h)
//   DIR/coordinator.log   DIR/worker.log
#pragma once

#include <filesystem>
#include <string>

#include "quant/base/status.h"

namespace rotor::cli {

/// .NAME.rotor beside the output directory NAME.
std::filesystem::path default_state_dir(const std::filesystem::path& output);

/// A file that this user alone may read, whatever mode one of that name had.
Status write_private_file(const std::filesystem::path& path, const std::string& text);

class StateDir {
 public:
  /// Makes the directory (and those above it), for this user alone, and takes its lock.
  /// FAILED_PRECONDITION, reason ALREADY_RUNNING, naming the process that holds it.
  static Result<StateDir> open(const std::filesystem::path& path);

  StateDir(StateDir&& other) noexcept;
  StateDir& operator=(StateDir&&) = delete;
  StateDir(const StateDir&) = delete;
  StateDir& operator=(const StateDir&) = delete;
  ~StateDir();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path coordinator_state() const { return path_ / "coordinator"; }
  std::filesystem::path port_file() const { return path_ / "port"; }
  std::filesystem::path token_file() const { return path_ / "token"; }
  std::filesystem::path tokens_file() const { return path_ / "tokens"; }
  std::filesystem::path coordinator_log() const { return path_ / "coordinator.log"; }
  /// What jobs are calibrated on, where it was prepared for them.
  std::filesystem::path calibration() const { return path_ / "prepared-calibration"; }
  std::filesystem::path worker_log() const { return path_ / "worker.log"; }

  /// Removes the coordinator's state, so that a job begins anew. Touches nothing else below the
  /// directory: the user may have named one that holds other things.
  Status forget();
  /// Whether open() made the directory.
  bool fresh() const { return fresh_; }
  /// Removes what a run puts there, and the directory if it is empty then. The logs go, too: for a
  /// run that never had a job.
  void discard();

 private:
  StateDir(std::filesystem::path path, int lock, bool fresh)
      : path_(std::move(path)), lock_(lock), fresh_(fresh) {}

  std::filesystem::path path_;
  int lock_;
  bool fresh_;
};

}  // namespace rotor::cli
