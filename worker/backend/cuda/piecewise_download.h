// Copies from the device to ordinary host memory, through two page-locked pieces: one is filled by
// the device while the other is emptied by the CPU. The driver's own way to memory that is not
// page-locked is many times slower.
//
// Owns: the pieces, taken at the first copy. Thread-safety: one caller at a time. Fails: with
// CUDA's errors. Cost: the CPU's rate of copying memory.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <memory>

#include "quant/base/status.h"

namespace rotor::worker::cuda {

class PiecewiseDownload {
 public:
  /// Waits for what is enqueued on `stream`, and until all is copied.
  Status copy(const void* device, size_t bytes, void* host, cudaStream_t stream);

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
  };

  Status take_pieces();

  std::array<Piece, 2> pieces_;
};

}  // namespace rotor::worker::cuda
