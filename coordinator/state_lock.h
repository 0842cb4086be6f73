// The lock on a state directory (faults.md row 7): an flock on STATE/lock, which the kernel drops
// with the process however it ends; the file says who holds it.
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
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace rotor::coordinator
