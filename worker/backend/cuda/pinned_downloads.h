// Copies from the device that the caller does not wait for: they go to page-locked memory behind
// what is enqueued, and whoever wants them takes them from there, on any thread.
//
// Owns: page-locked memory, which is slow to get and so kept for the next copies. Thread-safety:
// begin on the backend's thread; what it gives on any one. Fails: with CUDA's errors;
// RESOURCE_EXHAUSTED for page-locked memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "worker/backend/backend.h"

namespace rotor::worker::cuda {

class PinnedDownloads {
 public:
  explicit PinnedDownloads(int device) : shared_(std::make_shared<Shared>(device)) {}

  /// Copies `bytes` from the device behind what is enqueued on `stream`.
  Result<std::unique_ptr<Download>> begin(const void* device, size_t bytes, cudaStream_t stream);

 private:
  struct FreeHost {
    void operator()(void* memory) const { (void)cudaFreeHost(memory); }
  };
  struct FreeEvent {
    void operator()(cudaEvent_t event) const { (void)cudaEventDestroy(event); }
  };
  struct Piece {
    std::unique_ptr<void, FreeHost> memory;
    std::unique_ptr<CUevent_st, FreeEvent> filled;
    size_t capacity = 0;
  };
  /// Outlives the backend while a copy is on its way.
  struct Shared {
    explicit Shared(int of_device) : device(of_device) {}
    const int device;
    std::mutex mutex;
    std::vector<Piece> free;
  };
  class PinnedDownload;

  Result<Piece> take_piece(size_t bytes);

  std::shared_ptr<Shared> shared_;
};

}  // namespace rotor::worker::cuda
