// A file system over the real one whose power can be cut: at the call it is told, and every call
// from then on, it fails, and restore() then leaves on the disk no more than POSIX promises: of a
// file the bytes of its last fsync, of a directory the names of its last sync. What was there
// before counts as synced. A real disk keeps any part of the rest; here all of it is gone.
//
// Thread-safety: from any thread; restore() while nothing is called.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "quant/io/file.h"

namespace rotor::testing {

class PowerFileSystem final : public FileSystem {
 public:
  /// From now on calls are counted; the power goes at the change of this number, from 0 (-1:
  /// never). `at_the_cut` runs then, for what is written past this object.
  void cut_at(int64_t change, std::function<void()> at_the_cut = {});
  bool cut() const;
  /// What changed the disk since cut_at, in order: "write", "fsync", "rename", ...
  const std::vector<std::string>& changes() const { return changes_; }
  /// Takes away what was not synced; the power is back.
  void restore();

  Result<std::unique_ptr<RandomAccessFile>> open_for_reading(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> open_for_writing(const std::string& path,
                                                         OpenMode mode) override;
  Status create_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<FileStat> stat(const std::string& path) override;
  Result<FileStat> stat_link(const std::string& path) override;
  Status sync_dir(const std::string& directory) override;
  Result<int64_t> free_space(const std::string& path) override;

 private:
  class Writer;
  using Inode = std::pair<uint64_t, uint64_t>;
  /// A file whose bytes are not all synced.
  struct Unsynced {
    std::unique_ptr<WritableFile> file;  // held open, so that its inode stays its own
    std::string synced;                  // bytes of the last fsync
  };
  /// A change of names, and what takes it back.
  struct Change {
    std::set<std::string> unsynced;  // directories
    std::function<void()> undo;
    std::string removed_directory;  // empty: something else
  };

  /// Counts a change; an error where the power is gone, or goes now.
  Status change(const std::string& what, const std::string& path);
  Status alive(const std::string& path) const;
  /// What is left of a file after a cut.
  std::string synced_bytes(const std::string& path);
  void will_change(const std::string& path, const Inode& inode);
  void synced(const Inode& inode);

  FileSystem& base_ = posix_file_system();
  mutable std::recursive_mutex mutex_;
  std::map<Inode, Unsynced> files_;
  std::vector<Change> names_;  // in order
  std::vector<std::string> changes_;
  std::function<void()> at_the_cut_;
  int64_t cut_at_ = -1;
  bool cut_ = false;
};

}  // namespace rotor::testing
