// Host memory of the CPU backend: aligned buffers, and scratch that pieces of parallel work borrow.
//
// Thread-safety: allocate_host is a plain function; ScratchPool may be used from any thread. Fails:
// allocate_host with RESOURCE_EXHAUSTED; ScratchPool aborts like operator new, its blocks are small
// (a few MiB a thread, independent of the model).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "quant/base/status.h"
#include "worker/backend/tensor.h"

namespace rotor::worker::cpu {

/// Bytes of physical memory of this machine, and of those not in use now.
struct HostMemory {
  int64_t total = 0;
  int64_t available = 0;
};
HostMemory host_memory();

/// What a user lets the backend's tensors take.
struct MemoryLimit {
  explicit MemoryLimit(int64_t limit_bytes) : bytes(limit_bytes) {}
  const int64_t bytes;
  std::atomic<int64_t> used{0};
};

/// Uninitialized memory, aligned to a cache line; counted against `limit` while it lives, unless
/// that is null.
Result<std::shared_ptr<Buffer>> allocate_host(size_t bytes,
                                              const std::shared_ptr<MemoryLimit>& limit = nullptr);

/// Blocks of floats for pieces of parallel work. A piece does not know its thread, so it borrows a
/// block and gives it back; there are never more blocks than pieces that ran at the same time.
class ScratchPool {
 public:
  /// A block, returned to the pool when it goes out of scope.
  class Block {
   public:
    explicit Block(ScratchPool& pool) : pool_(pool) {}
    ~Block() { pool_.give_back(std::move(floats_)); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    float* data() { return floats_.data(); }

   private:
    friend class ScratchPool;
    ScratchPool& pool_;
    std::vector<float> floats_;
  };

  /// At least `count` floats, contents left from the last use.
  void borrow(size_t count, Block& block);

 private:
  void give_back(std::vector<float> floats);

  std::mutex mutex_;
  std::vector<std::vector<float>> free_;
};

}  // namespace rotor::worker::cpu
