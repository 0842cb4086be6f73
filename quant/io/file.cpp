#include "quant/io/file.h"

#include <algorithm>
#include <utility>

namespace rotor {

Status RandomAccessFile::read(int64_t offset, void* dst, size_t n) const {
  auto* out = static_cast<char*>(dst);
  for (size_t done = 0; done < n;) {
    ROTOR_ASSIGN_OR_RETURN(const size_t got,
                           read_some(offset + static_cast<int64_t>(done), out + done, n - done));
    if (got == 0) {
      const std::string end = std::to_string(offset + static_cast<int64_t>(done));
      return data_loss(path() + ": ends at byte " + end + ", where " + std::to_string(n - done) +
                       " more were expected; it was truncated or is incomplete: fetch it again")
          .with_reason("FILE_TRUNCATED")
          .with_detail("file", path());
    }
    done += got;
  }
  return {};
}

Status WritableFile::write_at(int64_t offset, const void* src, size_t n) {
  const auto* in = static_cast<const char*>(src);
  for (size_t done = 0; done < n;) {
    ROTOR_ASSIGN_OR_RETURN(const size_t put,
                           write_some(offset + static_cast<int64_t>(done), in + done, n - done));
    done += put;
  }
  return {};
}

Status WritableFile::append(std::string_view bytes) {
  ROTOR_RETURN_IF_ERROR(write_at(append_offset_, bytes.data(), bytes.size()));
  append_offset_ += static_cast<int64_t>(bytes.size());
  return {};
}

Status create_directories(FileSystem& fs, const std::string& path) {
  Status status = fs.create_directory(path);
  if (status.code() == Code::kNotFound && parent_directory(path) != path) {
    ROTOR_RETURN_IF_ERROR(create_directories(fs, parent_directory(path)));
    status = fs.create_directory(path);
  }
  if (status.code() != Code::kAlreadyExists) {
    return status;
  }
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(path));
  return stat.is_directory() ? Status() : status;
}

Status remove_all(FileSystem& fs, const std::string& path) {
  const auto stat = fs.stat_link(path);
  if (!stat.ok()) {
    return stat.status().code() == Code::kNotFound ? Status() : stat.status();
  }
  if (stat->is_directory()) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
    for (const std::string& name : names) {
      ROTOR_RETURN_IF_ERROR(remove_all(fs, join_path(path, name)));
    }
  }
  return fs.remove(path);
}

Result<bool> path_exists(FileSystem& fs, const std::string& path) {
  const auto stat = fs.stat_link(path);
  if (!stat.ok() && stat.status().code() != Code::kNotFound) {
    return stat.status();
  }
  return stat.ok();
}

Result<std::string> read_whole_file(FileSystem& fs, const std::string& path, int64_t max_bytes) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_reading(path));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, file->stat());
  if (stat.size > max_bytes) {
    return invalid_argument(path + ": " + std::to_string(stat.size) + " bytes, where at most " +
                            std::to_string(max_bytes) + " are read: is it the right file?")
        .with_reason("FILE_TOO_LARGE")
        .with_detail("file", path);
  }
  std::string bytes(static_cast<size_t>(stat.size), '\0');
  ROTOR_RETURN_IF_ERROR(file->read(0, bytes.data(), bytes.size()));
  return bytes;
}

namespace {

Status write_and_sync(FileSystem& fs, const std::string& path, std::string_view bytes) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_writing(path, OpenMode::kTruncate));
  ROTOR_RETURN_IF_ERROR(file->append(bytes));
  ROTOR_RETURN_IF_ERROR(file->sync());
  return file->close();
}

}  // namespace

Status write_file_atomically(FileSystem& fs, const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  Status status = write_and_sync(fs, temporary, bytes);
  if (status.ok()) {
    status = fs.rename(temporary, path);
  }
  if (!status.ok()) {
    // The first error is the one to report; what cannot be removed now is overwritten next time.
    (void)fs.remove(temporary);
    return status;
  }
  return fs.sync_dir(parent_directory(path));
}

Status copy_file(FileSystem& fs, const std::string& from, const std::string& to) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  ROTOR_ASSIGN_OR_RETURN(const auto source, fs.open_for_reading(from));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, source->stat());
  ROTOR_ASSIGN_OR_RETURN(const auto target, fs.open_for_writing(to, OpenMode::kTruncate));
  std::string piece;
  for (int64_t offset = 0; offset < stat.size; offset += kPiece) {
    piece.resize(static_cast<size_t>(std::min(kPiece, stat.size - offset)));
    ROTOR_RETURN_IF_ERROR(source->read(offset, piece.data(), piece.size()));
    ROTOR_RETURN_IF_ERROR(target->append(piece));
  }
  ROTOR_RETURN_IF_ERROR(target->sync());
  return target->close();
}

std::string existing_above(FileSystem& fs, const std::string& path) {
  std::string above = parent_directory(path);
  while (above != parent_directory(above) && !fs.stat(above).ok()) {
    above = parent_directory(above);
  }
  return above;
}

std::string parent_directory(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return ".";
  }
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string out(directory);
  if (!out.empty() && out.back() != '/') {
    out += '/';
  }
  return out.append(name);
}

}  // namespace rotor
