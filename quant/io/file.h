// The one way by which the project touches files: a small interface, so that tests can fail the Nth
// call, write short, or fill the disk, and so that every error carries the path.
//
// Design goals: positioned reads and writes that cannot be cut short in silence; nothing but
// regular files is ever opened (a FIFO would block, a device has no end); durability is explicit.
// Not goals: buffering, mmap (a file truncated on a shared filesystem kills an mmap reader).
//
// Thread-safety: a FileSystem and a RandomAccessFile may be used from any thread; a WritableFile's
// write_at from several threads as long as the ranges are apart, its other calls from one at a
// time. Errors: errno_error() of the failed call, with the path; reasons are named at each
// function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/base/status.h"

namespace rotor {

enum class FileType { kRegular, kDirectory, kSymlink, kOther };

struct FileStat {
  FileType type = FileType::kOther;
  int64_t size = 0;      // bytes
  int64_t mtime_ns = 0;  // since the epoch
  uint64_t device = 0;
  uint64_t inode = 0;
  bool is_regular() const { return type == FileType::kRegular; }
  bool is_directory() const { return type == FileType::kDirectory; }
  bool operator==(const FileStat&) const = default;
};

/// An open regular file, closed by the destructor.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  /// Fills dst with the n bytes at `offset`, over short reads. Error: the file ends before
  /// (DATA_LOSS, reason FILE_TRUNCATED).
  Status read(int64_t offset, void* dst, size_t n) const;
  /// The open file's state, not that of whatever has its path now.
  virtual Result<FileStat> stat() const = 0;
  virtual const std::string& path() const = 0;

 protected:
  /// Reads 1..n bytes; 0 at the end of the file.
  virtual Result<size_t> read_some(int64_t offset, void* dst, size_t n) const = 0;
};

/// A file open for writing. The destructor closes it without sync: what must last is synced first.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  /// Writes all n bytes at `offset`, over short writes; the file grows as needed.
  Status write_at(int64_t offset, const void* src, size_t n);
  /// Writes at the end of what append has written so far (the file's start at first).
  Status append(std::string_view bytes);
  /// Reads back what was written (from this handle or before it was opened).
  virtual Result<std::unique_ptr<RandomAccessFile>> reader() const = 0;
  /// Sets the size; new bytes read as zero and take no space until written.
  virtual Status truncate(int64_t size) = 0;
  /// fsync. After an error the file's content is unknown: write it again from its source.
  virtual Status sync() = 0;
  /// Errors of close are errors of earlier writes (NFS). The object is unusable afterwards.
  virtual Status close() = 0;
  virtual const std::string& path() const = 0;

 protected:
  /// Writes 1..n bytes and says how many.
  virtual Result<size_t> write_some(int64_t offset, const void* src, size_t n) = 0;

 private:
  int64_t append_offset_ = 0;
};

enum class OpenMode {
  kCreateNew,  // ALREADY_EXISTS if the path does
  kTruncate,   // created, or emptied
  kExisting,   // NOT_FOUND if the path does not exist; content stays
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Error: not a regular file (INVALID_ARGUMENT, reason NOT_A_REGULAR_FILE); never blocks on a
  /// FIFO.
  virtual Result<std::unique_ptr<RandomAccessFile>> open_for_reading(const std::string& path) = 0;
  /// Refuses anything but a regular file as above; new files get mode 0644 less the umask.
  virtual Result<std::unique_ptr<WritableFile>> open_for_writing(const std::string& path,
                                                                 OpenMode mode) = 0;
  /// Error: ALREADY_EXISTS.
  virtual Status create_directory(const std::string& path) = 0;
  /// Renames within a filesystem, replacing a file of that name.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// A file or an empty directory. Error: NOT_FOUND.
  virtual Status remove(const std::string& path) = 0;
  /// Names in a directory without "." and "..", sorted.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  /// Follows symlinks.
  virtual Result<FileStat> stat(const std::string& path) = 0;
  /// Of a symlink itself.
  virtual Result<FileStat> stat_link(const std::string& path) = 0;
  /// Makes the names in a directory durable (after create, rename, remove).
  virtual Status sync_dir(const std::string& directory) = 0;
  /// Bytes that this process may still write on the filesystem of `path`.
  virtual Result<int64_t> free_space(const std::string& path) = 0;
};

/// The real one; one object for the process.
FileSystem& posix_file_system();

/// A directory and its missing parents; no error where it exists already.
Status create_directories(FileSystem& fs, const std::string& path);
/// A file, or a directory with all below it; symlinks are removed, not followed. No error where
/// nothing is.
Status remove_all(FileSystem& fs, const std::string& path);
/// Whether something has this name.
Result<bool> path_exists(FileSystem& fs, const std::string& path);
/// The whole of a regular file. Error: longer than max_bytes (INVALID_ARGUMENT, reason
/// FILE_TOO_LARGE), found before anything is allocated.
Result<std::string> read_whole_file(FileSystem& fs, const std::string& path, int64_t max_bytes);
/// Temporary name beside it, fsync, rename, sync of the directory: after a crash the path holds the
/// old bytes or the new ones, whole. On error the temporary file is removed.
Status write_file_atomically(FileSystem& fs, const std::string& path, std::string_view bytes);
/// Copies a regular file's bytes in pieces of 1 MiB and syncs the copy (not the directory).
Status copy_file(FileSystem& fs, const std::string& from, const std::string& to);

/// The nearest directory above `path` that can be looked at.
std::string existing_above(FileSystem& fs, const std::string& path);

/// "a/b" of "a/b/c"; "." where there is no slash.
std::string parent_directory(std::string_view path);
/// `directory` + "/" + `name`, without doubling the slash.
std::string join_path(std::string_view directory, std::string_view name);

}  // namespace rotor
