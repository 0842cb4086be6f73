// Owns one CUDA stream, which does not wait for the default stream.
//
// Thread-safety: as a std::unique_ptr; CUDA lets several threads enqueue. Cost: creating one takes
// microseconds. Destruction does not wait for what is enqueued: synchronize first.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "quant/base/status.h"

namespace rotor::kernels {

class Stream {
 public:
  /// A stream of the current device. Errors: those of ROTOR_CUDA.
  static Result<Stream> create();

  cudaStream_t get() const { return stream_.get(); }
  /// Waits for everything enqueued, and tells the first error of it.
  Status synchronize() const;

 private:
  struct Destroy {
    void operator()(cudaStream_t stream) const;
  };
  explicit Stream(cudaStream_t stream) : stream_(stream) {}
  std::unique_ptr<CUstream_st, Destroy> stream_;
};

}  // namespace rotor::kernels
