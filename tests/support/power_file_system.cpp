#include "tests/support/power_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/support/temporary_directory.h"

namespace rotor::testing {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

}  // namespace

class PowerFileSystem::Writer final : public WritableFile {
 public:
  Writer(PowerFileSystem& owner, std::unique_ptr<WritableFile> file, Inode inode)
      : owner_(owner), file_(std::move(file)), inode_(inode) {}

  Result<std::unique_ptr<RandomAccessFile>> reader() const override {
    ROTOR_RETURN_IF_ERROR(owner_.alive(path()));
    return file_->reader();
  }
  Status truncate(int64_t size) override {
    const std::lock_guard lock(owner_.mutex_);
    ROTOR_RETURN_IF_ERROR(owner_.change("truncate", path()));
    owner_.will_change(path(), inode_);
    return file_->truncate(size);
  }
  Status sync() override {
    const std::lock_guard lock(owner_.mutex_);
    ROTOR_RETURN_IF_ERROR(owner_.change("fsync", path()));
    ROTOR_RETURN_IF_ERROR(file_->sync());
    owner_.synced(inode_);
    return {};
  }
  Status close() override {
    ROTOR_RETURN_IF_ERROR(owner_.alive(path()));
    return file_->close();
  }
  const std::string& path() const override { return file_->path(); }

 protected:
  Result<size_t> write_some(int64_t offset, const void* src, size_t n) override {
    const std::lock_guard lock(owner_.mutex_);
    ROTOR_RETURN_IF_ERROR(owner_.change("write", path()));
    owner_.will_change(path(), inode_);
    ROTOR_RETURN_IF_ERROR(file_->write_at(offset, src, n));
    return n;
  }

 private:
  PowerFileSystem& owner_;
  std::unique_ptr<WritableFile> file_;
  Inode inode_;
};

void PowerFileSystem::cut_at(int64_t change, std::function<void()> at_the_cut) {
  const std::lock_guard lock(mutex_);
  cut_at_ = change;
  at_the_cut_ = std::move(at_the_cut);
  changes_.clear();
}

bool PowerFileSystem::cut() const {
  const std::lock_guard lock(mutex_);
  return cut_;
}

void PowerFileSystem::restore() {
  for (auto& [inode, unsynced] : files_) {
    EXPECT_TRUE(unsynced.file->truncate(0).ok());
    EXPECT_TRUE(unsynced.file->write_at(0, unsynced.synced.data(), unsynced.synced.size()).ok());
  }
  for (auto change = names_.rbegin(); change != names_.rend(); ++change) {
    change->undo();
  }
  files_.clear();
  names_.clear();
  cut_at_ = -1;
  cut_ = false;
}

Status PowerFileSystem::alive(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return cut_ ? errno_error(EIO, "without power", path) : Status();
}

Status PowerFileSystem::change(const std::string& what, const std::string& path) {
  ROTOR_RETURN_IF_ERROR(alive(path));
  if (static_cast<int64_t>(changes_.size()) == cut_at_) {
    cut_ = true;
    if (at_the_cut_) {
      at_the_cut_();
    }
    return alive(path);
  }
  changes_.push_back(what);
  return {};
}

std::string PowerFileSystem::synced_bytes(const std::string& path) {
  const Result<FileStat> stat = base_.stat(path);
  const auto found = stat.ok() ? files_.find({stat->device, stat->inode}) : files_.end();
  return found == files_.end() ? file_bytes(path) : found->second.synced;
}

void PowerFileSystem::will_change(const std::string& path, const Inode& inode) {
  if (files_.count(inode) == 0) {
    const std::string bytes = file_bytes(path);
    Result<std::unique_ptr<WritableFile>> file = base_.open_for_writing(path, OpenMode::kExisting);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    files_[inode] = {std::move(file).value(), bytes};
  }
}

void PowerFileSystem::synced(const Inode& inode) {
  files_.erase(inode);
}

Result<std::unique_ptr<RandomAccessFile>> PowerFileSystem::open_for_reading(
    const std::string& path) {
  ROTOR_RETURN_IF_ERROR(alive(path));
  return base_.open_for_reading(path);
}

Result<std::unique_ptr<WritableFile>> PowerFileSystem::open_for_writing(const std::string& path,
                                                                        OpenMode mode) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(change("open", path));
  const bool existed = fs::exists(path);
  if (const Result<FileStat> old = base_.stat(path);
      mode == OpenMode::kTruncate && old.ok() && old->is_regular()) {
    will_change(path, {old->device, old->inode});
  }
  ROTOR_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_.open_for_writing(path, mode));
  ROTOR_ASSIGN_OR_RETURN(const FileStat stat, base_.stat(path));
  if (!existed) {
    names_.push_back({{parent_directory(path)}, [path] { fs::remove(path); }, ""});
  }
  return std::unique_ptr<WritableFile>(
      std::make_unique<Writer>(*this, std::move(file), Inode(stat.device, stat.inode)));
}

Status PowerFileSystem::create_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(change("mkdir", path));
  ROTOR_RETURN_IF_ERROR(base_.create_directory(path));
  names_.push_back({{parent_directory(path)}, [path] { fs::remove_all(path); }, ""});
  return {};
}

Status PowerFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(change("rename", from));
  for (const Change& earlier : names_) {
    EXPECT_EQ(earlier.unsynced.count(from), 0U)
        << from << " is renamed before its names are synced";
  }
  std::optional<std::string> replaced;
  if (fs::is_regular_file(to)) {
    replaced = synced_bytes(to);
  }
  ROTOR_RETURN_IF_ERROR(base_.rename(from, to));
  names_.push_back({{parent_directory(from), parent_directory(to)},
                    [from, to, replaced] {
                      fs::rename(to, from);
                      if (replaced) {
                        write_file(to, *replaced);
                      }
                    },
                    ""});
  return {};
}

Status PowerFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(change("remove", path));
  const bool is_directory = fs::is_directory(path);
  const std::string bytes = fs::is_regular_file(path) ? synced_bytes(path) : std::string();
  ROTOR_RETURN_IF_ERROR(base_.remove(path));
  names_.push_back({{parent_directory(path)},
                    [path, is_directory, bytes] {
                      if (is_directory) {
                        fs::create_directory(path);
                      } else {
                        write_file(path, bytes);
                      }
                    },
                    is_directory ? path : ""});
  return {};
}

Result<std::vector<std::string>> PowerFileSystem::list(const std::string& directory) {
  ROTOR_RETURN_IF_ERROR(alive(directory));
  return base_.list(directory);
}

Result<FileStat> PowerFileSystem::stat(const std::string& path) {
  ROTOR_RETURN_IF_ERROR(alive(path));
  return base_.stat(path);
}

Result<FileStat> PowerFileSystem::stat_link(const std::string& path) {
  ROTOR_RETURN_IF_ERROR(alive(path));
  return base_.stat_link(path);
}

Status PowerFileSystem::sync_dir(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  ROTOR_RETURN_IF_ERROR(change("sync_dir", directory));
  ROTOR_RETURN_IF_ERROR(base_.sync_dir(directory));
  for (size_t i = names_.size(); i-- > 0;) {
    names_[i].unsynced.erase(directory);
    if (names_[i].unsynced.empty() && !names_[i].removed_directory.empty()) {
      for (size_t earlier = 0; earlier < i; ++earlier) {  // what was in it is gone with it
        names_[earlier].unsynced.erase(names_[i].removed_directory);
      }
    }
  }
  std::erase_if(names_, [](const Change& change) { return change.unsynced.empty(); });
  return {};
}

Result<int64_t> PowerFileSystem::free_space(const std::string& path) {
  ROTOR_RETURN_IF_ERROR(alive(path));
  return base_.free_space(path);
}

}  // namespace rotor::testing
