// How long a kernel takes on the GPU, and what is measured in the same run beside it.
//
// A kernel is timed as a graph of calls, each on another set of buffers: together the sets are
// several times the cache, so that every call finds its operands in memory, and no launch is waited
// for. Thread-safety: one caller at a time. Errors: those of CUDA.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/scratch.h"
#include "kernels/stream.h"
#include "quant/base/status.h"

namespace rotor::worker::bench {

/// Times of one run and what was measured beside them.
template <typename Time>
struct KernelTimes {
  std::string device;
  double copy_rate = 0.0;  // bytes a second
  std::vector<Time> times;
};

class KernelTimer {
 public:
  static Result<KernelTimer> create();

  cudaStream_t stream() const { return stream_.get(); }
  /// Of the GPU.
  Result<std::string> device_name() const;

  /// Sets of `bytes` each that are together four times the cache: 2 to 64.
  int sets_of(int64_t bytes) const;

  /// Seconds a call: `enqueue(i)` enqueues call i, which works on set i modulo `sets`. The median
  /// of some replays.
  Result<double> seconds(int sets, const std::function<Status(int)>& enqueue);

  /// Bytes a second of a large copy in device memory, read and written together.
  Result<double> copy_rate();

  /// `bytes` of device memory that holds random normal BF16 values, a piece over and over.
  Result<kernels::Scratch> random_bf16(int64_t bytes, uint64_t seed);
  /// The same with random bytes.
  Result<kernels::Scratch> random_bytes(int64_t bytes, uint64_t seed);

 private:
  KernelTimer(kernels::Stream stream, int64_t cache_bytes)
      : stream_(std::move(stream)), cache_bytes_(cache_bytes) {}

  /// Seconds a call of what `enqueue` enqueues, which is `calls` of them.
  Result<double> median(int calls, const std::function<Status()>& enqueue);
  Result<kernels::Scratch> repeated(int64_t bytes, const void* piece, int64_t piece_bytes);

  kernels::Stream stream_;
  int64_t cache_bytes_;
};

}  // namespace rotor::worker::bench
