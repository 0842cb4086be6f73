#include "worker/backend/cuda/piecewise_download.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/cuda_status.h"

namespace rotor::worker::cuda {
namespace {

constexpr size_t kPieceBytes = size_t{8} << 20;

}  // namespace

Status PiecewiseDownload::take_pieces() {
  for (Piece& piece : pieces_) {
    if (piece.filled != nullptr) {
      continue;
    }
    void* memory = nullptr;
    ROTOR_RETURN_IF_ERROR(
        ROTOR_CUDA(cudaMallocHost(&memory, kPieceBytes), static_cast<int64_t>(kPieceBytes)));
    piece.memory.reset(memory);
    cudaEvent_t event = nullptr;
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
    piece.filled.reset(event);
  }
  return {};
}

Status PiecewiseDownload::copy(const void* device, size_t bytes, void* host, cudaStream_t stream) {
  ROTOR_RETURN_IF_ERROR(take_pieces());
  const size_t count = (bytes + kPieceBytes - 1) / kPieceBytes;
  const auto length = [&](size_t i) { return std::min(kPieceBytes, bytes - i * kPieceBytes); };
  const auto fill = [&](size_t i) -> Status {
    const Piece& piece = pieces_[i % 2];
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
        cudaMemcpyAsync(piece.memory.get(), static_cast<const char*>(device) + i * kPieceBytes,
                        length(i), cudaMemcpyDeviceToHost, stream)));
    return ROTOR_CUDA(cudaEventRecord(piece.filled.get(), stream));
  };
  for (size_t i = 0; i < std::min<size_t>(count, 2); ++i) {
    ROTOR_RETURN_IF_ERROR(fill(i));
  }
  for (size_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[i % 2];
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventSynchronize(piece.filled.get())));
    std::memcpy(static_cast<char*>(host) + i * kPieceBytes, piece.memory.get(), length(i));
    if (i + 2 < count) {
      ROTOR_RETURN_IF_ERROR(fill(i + 2));
    }
  }
  return {};
}

}  // namespace rotor::worker::cuda
