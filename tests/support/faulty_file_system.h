// A file system over the real one that fails on demand: the Nth call, a full disk, short reads and
// writes. Counts every call that could fail, so that a test can fail each in turn.
//
// Thread-safety: as the file system's below it; a plan is changed and read while nothing is called.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "quant/io/file.h"

namespace rotor::testing {

struct FaultPlan {
  int64_t fail_at = -1;       // call number that fails, from 0; -1: none
  int error_number = EIO;     // what it fails with
  size_t max_transfer = 0;    // bytes that one read or write moves at most; 0: all
  int64_t disk_bytes = -1;    // writes beyond as many bytes in all fail with ENOSPC; -1: no limit
  int64_t calls = 0;          // so far
  int64_t bytes_written = 0;  // so far
  std::vector<std::string> log;  // what was called, in order

  /// Counts a call; the error that it fails with, or 0.
  int next(std::string what) {
    const std::lock_guard lock(mutex);
    log.push_back(std::move(what));
    return calls++ == fail_at ? error_number : 0;
  }
  size_t limit(size_t n) const { return max_transfer == 0 ? n : std::min(n, max_transfer); }
  /// How many of n bytes the disk still takes; they are taken.
  size_t take_room(size_t n) {
    const std::lock_guard lock(mutex);
    const int64_t room = std::max<int64_t>(disk_bytes - bytes_written, 0);
    const size_t count = disk_bytes < 0 ? n : std::min(n, static_cast<size_t>(room));
    bytes_written += static_cast<int64_t>(count);
    return count;
  }

  std::mutex mutex;  // files are read and written by several threads
};

#define ROTOR_FAULT(what, path)                                 \
  do {                                                          \
    if (const int injected = plan_.next(what); injected != 0) { \
      return errno_error(injected, what, path);                 \
    }                                                           \
  } while (false)

class FaultyReader final : public RandomAccessFile {
 public:
  FaultyReader(std::unique_ptr<RandomAccessFile> file, FaultPlan& plan)
      : file_(std::move(file)), plan_(plan) {}
  Result<FileStat> stat() const override {
    ROTOR_FAULT("fstat", path());
    return file_->stat();
  }
  const std::string& path() const override { return file_->path(); }

 protected:
  Result<size_t> read_some(int64_t offset, void* dst, size_t n) const override {
    ROTOR_FAULT("read", path());
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, file_->stat());
    const int64_t left = std::max<int64_t>(stat.size - offset, 0);
    const size_t count = std::min(plan_.limit(n), static_cast<size_t>(left));
    ROTOR_RETURN_IF_ERROR(file_->read(offset, dst, count));
    return count;
  }

 private:
  std::unique_ptr<RandomAccessFile> file_;
  FaultPlan& plan_;
};

class FaultyWriter final : public WritableFile {
 public:
  FaultyWriter(std::unique_ptr<WritableFile> file, FaultPlan& plan)
      : file_(std::move(file)), plan_(plan) {}
  Result<std::unique_ptr<RandomAccessFile>> reader() const override {
    ROTOR_FAULT("dup", path());
    ROTOR_ASSIGN_OR_RETURN(auto file, file_->reader());
    return std::unique_ptr<RandomAccessFile>(
        std::make_unique<FaultyReader>(std::move(file), plan_));
  }
  Status truncate(int64_t size) override {
    ROTOR_FAULT("truncate", path());
    return file_->truncate(size);
  }
  Status sync() override {
    ROTOR_FAULT("fsync", path());
    return file_->sync();
  }
  Status close() override {
    ROTOR_FAULT("close", path());
    return file_->close();
  }
  const std::string& path() const override { return file_->path(); }

 protected:
  Result<size_t> write_some(int64_t offset, const void* src, size_t n) override {
    ROTOR_FAULT("write", path());
    const size_t count = plan_.take_room(plan_.limit(n));
    if (count == 0 && n > 0) {
      return errno_error(ENOSPC, "write", path());
    }
    ROTOR_RETURN_IF_ERROR(file_->write_at(offset, src, count));
    return count;
  }

 private:
  std::unique_ptr<WritableFile> file_;
  FaultPlan& plan_;
};

class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& base = posix_file_system()) : base_(base) {}
  FaultPlan& plan() { return plan_; }

  Result<std::unique_ptr<RandomAccessFile>> open_for_reading(const std::string& path) override {
    ROTOR_FAULT("open", path);
    ROTOR_ASSIGN_OR_RETURN(auto file, base_.open_for_reading(path));
    return std::unique_ptr<RandomAccessFile>(
        std::make_unique<FaultyReader>(std::move(file), plan_));
  }
  Result<std::unique_ptr<WritableFile>> open_for_writing(const std::string& path,
                                                         OpenMode mode) override {
    ROTOR_FAULT("open", path);
    ROTOR_ASSIGN_OR_RETURN(auto file, base_.open_for_writing(path, mode));
    return std::unique_ptr<WritableFile>(std::make_unique<FaultyWriter>(std::move(file), plan_));
  }
  Status create_directory(const std::string& path) override {
    ROTOR_FAULT("mkdir", path);
    return base_.create_directory(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    ROTOR_FAULT("rename", from);
    return base_.rename(from, to);
  }
  Status remove(const std::string& path) override {
    ROTOR_FAULT("remove", path);
    return base_.remove(path);
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    ROTOR_FAULT("list", directory);
    return base_.list(directory);
  }
  Result<FileStat> stat(const std::string& path) override {
    ROTOR_FAULT("stat", path);
    return base_.stat(path);
  }
  Result<FileStat> stat_link(const std::string& path) override {
    ROTOR_FAULT("stat", path);
    return base_.stat_link(path);
  }
  Status sync_dir(const std::string& directory) override {
    ROTOR_FAULT("sync_dir", directory);
    return base_.sync_dir(directory);
  }
  Result<int64_t> free_space(const std::string& path) override {
    ROTOR_FAULT("statvfs", path);
    return base_.free_space(path);
  }

 private:
  FileSystem& base_;
  FaultPlan plan_;
};

#undef ROTOR_FAULT

}  // namespace rotor::testing
