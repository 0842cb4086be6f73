#include "coordinator/jobs/state_reserve.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace rotor::coordinator {
namespace {

constexpr size_t kPiece = size_t{1} << 20;

/// Whole, or not there.
Status write_filled(FileSystem& fs, const std::string& path, int64_t bytes) {
  const auto write = [&]() -> Status {
    ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_writing(path, OpenMode::kTruncate));
    // Not zeros: a filesystem may keep those without room.
    const std::string piece(kPiece, '\x5a');
    for (int64_t done = 0; done < bytes; done += static_cast<int64_t>(kPiece)) {
      const auto n = std::min(kPiece, static_cast<size_t>(bytes - done));
      ROTOR_RETURN_IF_ERROR(file->append(std::string_view(piece).substr(0, n)));
    }
    ROTOR_RETURN_IF_ERROR(file->sync());
    return file->close();
  };
  Status written = write();
  if (!written.ok()) {
    (void)fs.remove(path);  // the first error is the one to report
  }
  return written;
}

}  // namespace

StateReserve::StateReserve(FileSystem* fs, std::string state_dir)
    : fs_(fs), path_(join_path(std::move(state_dir), "reserve")) {}

Status StateReserve::keep() {
  const Result<FileStat> stat = fs_->stat(path_);
  if (stat.ok() && stat->size >= kBytes) {
    return {};
  }
  return write_filled(*fs_, path_, kBytes);
}

bool StateReserve::give_back() {
  return fs_->remove(path_).ok();
}

Status try_room(FileSystem& fs, const std::string& directory, int64_t bytes) {
  const std::string path =
      join_path(directory, ".rotor-room." + std::to_string(::getpid()) + ".tmp");
  ROTOR_RETURN_IF_ERROR(write_filled(fs, path, std::min(bytes, static_cast<int64_t>(kPiece))));
  return fs.remove(path);
}

}  // namespace rotor::coordinator
