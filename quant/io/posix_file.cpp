#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "quant/io/file.h"

namespace rotor {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStat to_stat(const struct stat& st) {
  FileStat out;
  if (S_ISREG(st.st_mode)) {
    out.type = FileType::kRegular;
  } else if (S_ISDIR(st.st_mode)) {
    out.type = FileType::kDirectory;
  } else if (S_ISLNK(st.st_mode)) {
    out.type = FileType::kSymlink;
  }
  out.size = st.st_size;
  // The later of both: no program can set ctime, so a rewrite that puts mtime back shows all the
  // same.
  out.mtime_ns = std::max(nanoseconds(st.st_mtim), nanoseconds(st.st_ctim));
  out.device = st.st_dev;
  out.inode = st.st_ino;
  return out;
}

Status not_regular(const std::string& path) {
  return invalid_argument(path +
                          ": not a regular file; directories, pipes, sockets and devices are "
                          "not read or written: name a file")
      .with_reason("NOT_A_REGULAR_FILE")
      .with_detail("file", path);
}

Result<FileStat> stat_descriptor(int fd, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) {
    return errno_error(errno, "fstat", path);
  }
  return to_stat(st);
}

// O_NONBLOCK: opening a FIFO returns at once, and fstat then tells it apart. It changes nothing for
// regular files.
Result<Descriptor> open_regular(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
  if (fd < 0) {
    // What open itself refuses because of the kind: a directory for writing, a socket.
    return errno == EISDIR || errno == ENXIO ? not_regular(path) : errno_error(errno, "open", path);
  }
  Descriptor descriptor(fd);
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, stat_descriptor(fd, path));
  if (!stat.is_regular()) {
    return not_regular(path);
  }
  return descriptor;
}

// Linux moves at most this many bytes in one call.
constexpr size_t kMaxTransfer = 0x7ffff000;

template <typename Call>
Result<size_t> transfer(const Call& call, const char* what, const std::string& path) {
  while (true) {
    const ssize_t n = call();
    if (n >= 0) {
      return static_cast<size_t>(n);
    }
    if (errno != EINTR) {
      return errno_error(errno, what, path);
    }
  }
}

class PosixReader final : public RandomAccessFile {
 public:
  PosixReader(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<FileStat> stat() const override { return stat_descriptor(fd_.get(), path_); }
  const std::string& path() const override { return path_; }

 protected:
  Result<size_t> read_some(int64_t offset, void* dst, size_t n) const override {
    return transfer([&] { return ::pread(fd_.get(), dst, std::min(n, kMaxTransfer), offset); },
                    "read", path_);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixWriter final : public WritableFile {
 public:
  PosixWriter(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::unique_ptr<RandomAccessFile>> reader() const override {
    const int copy = ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
      return errno_error(errno, "dup", path_);
    }
    return std::unique_ptr<RandomAccessFile>(
        std::make_unique<PosixReader>(Descriptor(copy), path_));
  }

  Status truncate(int64_t size) override {
    return ::ftruncate(fd_.get(), size) == 0 ? Status() : errno_error(errno, "truncate", path_);
  }

  Status sync() override {
    return ::fsync(fd_.get()) == 0 ? Status() : errno_error(errno, "fsync", path_);
  }

  Status close() override {
    // On Linux the descriptor is gone even after EINTR.
    const int fd = fd_.release();
    return ::close(fd) == 0 || errno == EINTR ? Status() : errno_error(errno, "close", path_);
  }

  const std::string& path() const override { return path_; }

 protected:
  Result<size_t> write_some(int64_t offset, const void* src, size_t n) override {
    return transfer([&] { return ::pwrite(fd_.get(), src, std::min(n, kMaxTransfer), offset); },
                    "write", path_);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<RandomAccessFile>> open_for_reading(const std::string& path) override {
    ROTOR_ASSIGN_OR_RETURN(Descriptor fd, open_regular(path, O_RDONLY));
    return std::unique_ptr<RandomAccessFile>(std::make_unique<PosixReader>(std::move(fd), path));
  }

  Result<std::unique_ptr<WritableFile>> open_for_writing(const std::string& path,
                                                         OpenMode mode) override {
    int flags = O_RDWR;
    if (mode == OpenMode::kCreateNew) {
      flags |= O_CREAT | O_EXCL;
    } else if (mode == OpenMode::kTruncate) {
      flags |= O_CREAT;
    }
    ROTOR_ASSIGN_OR_RETURN(Descriptor fd, open_regular(path, flags));
    auto file = std::make_unique<PosixWriter>(std::move(fd), path);
    if (mode == OpenMode::kTruncate) {
      ROTOR_RETURN_IF_ERROR(file->truncate(0));
    }
    return std::unique_ptr<WritableFile>(std::move(file));
  }

  Status create_directory(const std::string& path) override {
    return ::mkdir(path.c_str(), 0755) == 0 ? Status() : errno_error(errno, "mkdir", path);
  }

  Status rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str()) == 0 ? Status()
                                                      : errno_error(errno, "rename to " + to, from);
  }

  Status remove(const std::string& path) override {
    return std::remove(path.c_str()) == 0 ? Status() : errno_error(errno, "remove", path);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    if (dir == nullptr) {
      return errno_error(errno, "list", directory);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") {
        names.push_back(std::move(name));
      }
    }
    if (errno != 0) {
      return errno_error(errno, "list", directory);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<FileStat> stat(const std::string& path) override {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
      return errno_error(errno, "stat", path);
    }
    return to_stat(st);
  }

  Result<FileStat> stat_link(const std::string& path) override {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
      return errno_error(errno, "stat", path);
    }
    return to_stat(st);
  }

  Status sync_dir(const std::string& directory) override {
    const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) {
      return errno_error(errno, "open", directory);
    }
    return ::fsync(fd.get()) == 0 ? Status() : errno_error(errno, "fsync", directory);
  }

  Result<int64_t> free_space(const std::string& path) override {
    struct statvfs vfs {};
    if (::statvfs(path.c_str(), &vfs) != 0) {
      return errno_error(errno, "statvfs", path);
    }
    return static_cast<int64_t>(vfs.f_bavail * vfs.f_frsize);
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem fs;
  return fs;
}

}  // namespace rotor
