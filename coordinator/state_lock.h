// The lock on a state directory (faults.md rows 7 and 36): an flock on the directory itself, so
// that it holds though STATE/lock is removed, and on that file, which says who holds it. The kernel
// drops both with the process however it ends.
//
// Thread-safety: a value that moves. Errors: FAILED_PRECONDITION, STATE_DIR_IN_USE, naming the
// holder's pid, host and start; those of the file system.
#pragma once

#include <string>

#include "quant/base/status.h"

namespace rotor::coordinator {

class StateLock {
 public:
  static Result<StateLock> acquire(const std::string& state_dir);
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&&) = delete;
  ~StateLock();

 private:
  explicit StateLock(int file) : file_(file) {}
  int file_;
  int directory_ = -1;
};

}  // namespace rotor::coordinator
