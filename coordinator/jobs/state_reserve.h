// Room that is kept on the state's disk so that a job can be paused when there is no other: a file
// that is given back first (faults.md rows 11 and 37).
//
// Thread-safety: guarded by the core's mutex. Errors: those of the file system. Cost: 4 MiB of
// disk; keeping writes and syncs them.
#pragma once

#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

class StateReserve {
 public:
  static constexpr int64_t kBytes = int64_t{4} << 20;

  StateReserve(FileSystem* fs, std::string state_dir);

  /// Takes the room where it was given back. Error: DISK_FULL, with nothing left behind.
  Status keep();
  /// False where there was none to give.
  bool give_back();

 private:
  FileSystem* fs_;
  std::string path_;
};

/// Writes a megabyte, or `bytes` if that is less, to a file in `directory`, syncs and removes it: a
/// quota or a lack of inodes shows in no number that can be asked for.
Status try_room(FileSystem& fs, const std::string& directory, int64_t bytes);

}  // namespace rotor::coordinator
