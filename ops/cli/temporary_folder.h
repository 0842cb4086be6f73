// A folder of one command's own, below $TMPDIR.
//
// Thread-safety: one thread. Gone with the object, with all that is in it.
#pragma once

#include <filesystem>

#include "quant/base/status.h"

namespace rotor::cli {

class TemporaryFolder {
 public:
  /// Errors: those of making it, naming the path.
  static Result<TemporaryFolder> make();

  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

}  // namespace rotor::cli
