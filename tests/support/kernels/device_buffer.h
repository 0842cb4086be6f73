// Owns one allocation of device memory, on the device that was current when it was made.
//
// Thread-safety: as a std::unique_ptr. Cost: cudaMalloc and cudaFree wait for the device: allocate
// once and reuse. The stream's work must be done before a buffer that it uses goes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "quant/base/status.h"

namespace rotor::kernels {

class DeviceBuffer {
 public:
  DeviceBuffer() = default;

  /// `bytes` of uninitialized memory, aligned to 256 bytes; 0 bytes is a null pointer. Errors:
  /// RESOURCE_EXHAUSTED with the bytes needed and free; INVALID_ARGUMENT for a negative size.
  static Result<DeviceBuffer> allocate(int64_t bytes);

  void* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  int64_t bytes() const { return bytes_; }

  /// Enqueue copies of `bytes` bytes from or to the buffer's start; the host memory must stay until
  /// the stream is synchronized. OUT_OF_RANGE for more bytes than the buffer has.
  Status copy_from_host(const void* source, int64_t bytes, cudaStream_t stream);
  Status copy_to_host(void* destination, int64_t bytes, cudaStream_t stream) const;
  /// Enqueues a fill of the whole buffer with one byte.
  Status fill(uint8_t byte, cudaStream_t stream);

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> memory_;
  int64_t bytes_ = 0;

  Status check_size(int64_t bytes) const;
};

}  // namespace rotor::kernels
