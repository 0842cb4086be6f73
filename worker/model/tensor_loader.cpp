#include "worker/model/tensor_loader.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace rotor::worker {
namespace {

// A disk, or a network file system, wants several large requests under way.
constexpr int64_t kPieceBytes = int64_t{8} << 20;
constexpr size_t kReaders = 8;
constexpr int64_t kStagingBytes = int64_t{64} << 20;

}  // namespace

void append_pieces(const std::string& name, int64_t offset, int64_t bytes, char* dst,
                   std::vector<ReadPiece>* pieces) {
  for (int64_t done = 0; done < bytes; done += kPieceBytes) {
    const int64_t count = std::min(kPieceBytes, bytes - done);
    pieces->push_back({name, offset + done, static_cast<size_t>(count), dst + done});
  }
}

Status read_pieces(const TensorSource& source, const std::vector<ReadPiece>& pieces) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first_error;
  const auto read = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const ReadPiece& piece = pieces[i];
      Status status = source.read(piece.name, piece.offset, piece.dst, piece.bytes);
      if (!status.ok()) {
        const std::lock_guard lock(mutex);
        first_error = first_error.ok() ? std::move(status) : first_error;
        next = pieces.size();
      }
    }
  };
  std::vector<std::thread> readers;
  for (size_t i = 1; i < std::min(kReaders, pieces.size()); ++i) {
    readers.emplace_back(read);
  }
  read();
  for (std::thread& reader : readers) {
    reader.join();
  }
  return first_error;
}

Status TensorLoader::load(Backend& backend, const std::string& name, int64_t row_begin,
                          const Tensor& rows) {
  const int64_t row_bytes = rows.cols() * dtype_size(rows.dtype());
  const int64_t step = std::max<int64_t>(1, kStagingBytes / std::max<int64_t>(1, row_bytes));
  const auto needed = static_cast<size_t>(std::min(rows.rows(), step) * row_bytes);
  if (staging_ == nullptr || staging_->bytes() < needed) {
    staging_.reset();
    ROTOR_ASSIGN_OR_RETURN(staging_, backend.allocate_host(needed));
  }
  auto* staged = static_cast<char*>(staging_->data());
  for (int64_t row = 0; row < rows.rows(); row += step) {
    const int64_t count = std::min(step, rows.rows() - row);
    std::vector<ReadPiece> pieces;
    append_pieces(name, (row_begin + row) * row_bytes, count * row_bytes, staged, &pieces);
    ROTOR_RETURN_IF_ERROR(read_pieces(source_, pieces));
    ROTOR_RETURN_IF_ERROR(
        backend.upload(staged, static_cast<size_t>(count * row_bytes), rows.row_range(row, count)));
  }
  return {};
}

}  // namespace rotor::worker
