// How much memory a rank takes: of the GPU that is current on this thread, where the backend is on
// one; else the process's own.
//
// Thread-safety: the thread that made the backend. Cost: a call of the driver, some microseconds.
#pragma once

#include <cstdint>

#include "worker/backend/backend.h"

namespace rotor::worker::bench {

class MemoryUse {
 public:
  explicit MemoryUse(const Backend& backend);

  /// Looks at what the GPU has free now. Nothing to do on the CPU: the kernel keeps the peak.
  void sample();
  /// Bytes: the most that was taken from the GPU at any sample, by whomever; on the CPU the peak of
  /// the process's resident set.
  int64_t peak() const;

 private:
  bool gpu_;
  int64_t peak_ = 0;
};

}  // namespace rotor::worker::bench
