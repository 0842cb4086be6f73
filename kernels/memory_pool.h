// The pool that a device's stream-ordered memory comes from (kernels/scratch.h).
//
// Owns: the pool, which is the device's current one while it lives; what was taken from it must be
// given back before. It keeps what is freed: giving it back to the driver costs milliseconds.
// Thread-safety: none needed, as its owner. Fails: with CUDA's errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "quant/base/status.h"

namespace rotor::kernels {

class MemoryPool {
 public:
  /// `limit`: bytes at most; 0: all that the device has.
  static Result<MemoryPool> create(int device, int64_t limit);

  /// Bytes that can still be taken: what the pool holds unused and may grow by. 0 where CUDA does
  /// not tell.
  int64_t left() const;

 private:
  struct Destroy {
    int device;
    void operator()(cudaMemPool_t pool) const;
  };
  std::unique_ptr<CUmemPoolHandle_st, Destroy> pool_;
  int64_t limit_ = 0;
};

/// Gives back to the driver what the pool of the current device holds unused.
Status trim_current_pool();

}  // namespace rotor::kernels
