// Files that lie in memory and can only be read: what a reader makes of any bytes, without a disk.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quant/io/file.h"

namespace rotor::testing {

class MemoryFileSystem final : public FileSystem {
 public:
  using Files = std::map<std::string, std::string>;  // bytes by path

  explicit MemoryFileSystem(Files files) : files_(std::move(files)) {}

  Result<std::unique_ptr<RandomAccessFile>> open_for_reading(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) {
      return errno_error(ENOENT, "open", path);
    }
    return std::unique_ptr<RandomAccessFile>(std::make_unique<Reader>(path, found->second));
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    std::vector<std::string> names;
    for (const auto& [path, bytes] : files_) {
      if (parent_directory(path) == directory) {
        names.push_back(path.substr(directory.size() + 1));
      }
    }
    return names;
  }
  Result<FileStat> stat(const std::string& path) override {
    const auto found = files_.find(path);
    return found == files_.end() ? Result<FileStat>(errno_error(ENOENT, "stat", path))
                                 : Result<FileStat>(stat_of(found->second));
  }
  Result<FileStat> stat_link(const std::string& path) override { return stat(path); }

  Result<std::unique_ptr<WritableFile>> open_for_writing(const std::string& path,
                                                         OpenMode /*mode*/) override {
    return read_only(path);
  }
  Status create_directory(const std::string& path) override { return read_only(path); }
  Status rename(const std::string& from, const std::string& /*to*/) override {
    return read_only(from);
  }
  Status remove(const std::string& path) override { return read_only(path); }
  Status sync_dir(const std::string& directory) override { return read_only(directory); }
  Result<int64_t> free_space(const std::string& path) override { return read_only(path); }

 private:
  class Reader final : public RandomAccessFile {
   public:
    Reader(std::string path, const std::string& bytes) : path_(std::move(path)), bytes_(bytes) {}
    Result<FileStat> stat() const override { return stat_of(bytes_); }
    const std::string& path() const override { return path_; }

   protected:
    Result<size_t> read_some(int64_t offset, void* dst, size_t n) const override {
      const size_t from = std::min(static_cast<size_t>(offset), bytes_.size());
      const size_t count = std::min(n, bytes_.size() - from);
      std::memcpy(dst, bytes_.data() + from, count);
      return count;
    }

   private:
    std::string path_;
    const std::string& bytes_;
  };

  static FileStat stat_of(const std::string& bytes) {
    return {.type = FileType::kRegular, .size = static_cast<int64_t>(bytes.size())};
  }
  static Status read_only(const std::string& path) { return errno_error(EROFS, "writing", path); }

  Files files_;
};

}  // namespace rotor::testing
