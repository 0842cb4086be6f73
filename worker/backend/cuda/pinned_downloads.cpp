#include "worker/backend/cuda/pinned_downloads.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/cuda_status.h"

namespace rotor::worker::cuda {
namespace {

// Pieces differ by the modules' shapes; rounded up, those of one kind serve for each other.
constexpr size_t kRounding = size_t{1} << 20;

}  // namespace

class PinnedDownloads::PinnedDownload final : public Download {
 public:
  PinnedDownload(std::shared_ptr<Shared> shared, Piece piece, size_t bytes)
      : shared_(std::move(shared)), piece_(std::move(piece)), bytes_(bytes) {}

  ~PinnedDownload() override {
    // Nobody else may have the memory while the device still writes to it.
    (void)wait();
    const std::lock_guard lock(shared_->mutex);
    shared_->free.push_back(std::move(piece_));
  }

  Status take(void* dst, size_t bytes) override {
    if (bytes != bytes_) {
      return internal_error("a download of " + std::to_string(bytes_) + " bytes, asked for " +
                            std::to_string(bytes));
    }
    ROTOR_RETURN_IF_ERROR(wait());
    if (bytes > 0) {
      std::memcpy(dst, piece_.memory.get(), bytes);
    }
    return {};
  }

 private:
  Status wait() {
    // Any other device would get a context of this process, and hundreds of megabytes for it.
    ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaSetDevice(shared_->device)));
    return ROTOR_CUDA(cudaEventSynchronize(piece_.filled.get()));
  }

  std::shared_ptr<Shared> shared_;
  Piece piece_;
  size_t bytes_;
};

Result<PinnedDownloads::Piece> PinnedDownloads::take_piece(size_t bytes) {
  {
    const std::lock_guard lock(shared_->mutex);
    auto best = shared_->free.end();
    for (auto piece = shared_->free.begin(); piece != shared_->free.end(); ++piece) {
      const bool fits = piece->capacity >= bytes;
      if (fits && (best == shared_->free.end() || piece->capacity < best->capacity)) {
        best = piece;
      }
    }
    // A piece many times larger would be missed by the copy that it was made for.
    if (best != shared_->free.end() && best->capacity <= 2 * bytes + kRounding) {
      Piece found = std::move(*best);
      shared_->free.erase(best);
      return found;
    }
  }
  Piece piece;
  piece.capacity = std::max((bytes + kRounding - 1) / kRounding, size_t{1}) * kRounding;
  void* memory = nullptr;
  ROTOR_RETURN_IF_ERROR(
      ROTOR_CUDA(cudaMallocHost(&memory, piece.capacity), static_cast<int64_t>(piece.capacity)));
  piece.memory.reset(memory);
  cudaEvent_t event = nullptr;
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
  piece.filled.reset(event);
  return piece;
}

Result<std::unique_ptr<Download>> PinnedDownloads::begin(const void* device, size_t bytes,
                                                         cudaStream_t stream) {
  ROTOR_ASSIGN_OR_RETURN(Piece piece, take_piece(bytes));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(
      cudaMemcpyAsync(piece.memory.get(), device, bytes, cudaMemcpyDeviceToHost, stream)));
  ROTOR_RETURN_IF_ERROR(ROTOR_CUDA(cudaEventRecord(piece.filled.get(), stream)));
  return std::unique_ptr<Download>(
      std::make_unique<PinnedDownload>(shared_, std::move(piece), bytes));
}

}  // namespace rotor::worker::cuda
