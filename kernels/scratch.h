// Device memory that lives as long as one call, taken from the stream's pool.
//
// Thread-safety: as a std::unique_ptr. Cost: microseconds once the pool is warm: allocation and
// release are ordered with the stream's work, so nothing waits, and a buffer may go while the
// kernels that use it still run.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "quant/base/status.h"

namespace rotor::kernels {

class Scratch {
 public:
  Scratch() = default;

  /// `bytes` of uninitialized memory, aligned to 256 bytes, for work on `stream`; 0 bytes is a null
  /// pointer. Errors: RESOURCE_EXHAUSTED with the bytes needed and free.
  static Result<Scratch> allocate(int64_t bytes, cudaStream_t stream);

  void* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    cudaStream_t stream;
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> memory_;
};

}  // namespace rotor::kernels
