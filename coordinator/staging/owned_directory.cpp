#include "coordinator/staging/owned_directory.h"

#include <vector>

#include "proto/pause_reasons.h"

namespace rotor::coordinator {
namespace {

constexpr int64_t kLongestOwner = 256;

Status write_owner(FileSystem& fs, const std::string& path, const Owner& owner) {
  ROTOR_ASSIGN_OR_RETURN(const auto file,
                         fs.open_for_writing(join_path(path, kOwnerFile), OpenMode::kTruncate));
  ROTOR_RETURN_IF_ERROR(file->append(owner.job_id + "\n"));
  ROTOR_RETURN_IF_ERROR(file->sync());
  ROTOR_RETURN_IF_ERROR(file->close());
  return fs.sync_dir(path);
}

Status not_this_jobs(const std::string& path, const Owner& owner) {
  return already_exists(path + " is not of job " + owner.job_id +
                        ": nothing in it is touched; move it away, then resume the job")
      .with_reason(kNotThisJobs)
      .with_detail("file", path);
}

/// Whether all in it may go. An owner file that was cut short by a crash has no newline.
Result<bool> is_owned(FileSystem& fs, const std::string& path, const Owner& owner,
                      const FileStat& stat, const std::vector<std::string>& names) {
  if (!owner.identity.empty() && identity_of(stat) == owner.identity) {
    return true;
  }
  const std::string file = join_path(path, kOwnerFile);
  ROTOR_ASSIGN_OR_RETURN(const bool marked, path_exists(fs, file));
  if (!marked) {
    return names.empty();
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string text, read_whole_file(fs, file, kLongestOwner));
  return text == owner.job_id + "\n" || (names.size() == 1 && text.find('\n') == std::string::npos);
}

}  // namespace

std::string identity_of(const FileStat& stat) {
  return std::to_string(stat.device) + ":" + std::to_string(stat.inode);
}

Status make_owned_directory(FileSystem& fs, const std::string& path, const Owner& owner) {
  const Status made = fs.create_directory(path);
  if (!made.ok()) {
    if (made.code() != Code::kAlreadyExists) {
      return made;
    }
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs.stat_link(path));
    if (!stat.is_directory()) {
      return not_this_jobs(path, owner);
    }
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
    ROTOR_ASSIGN_OR_RETURN(const bool owned, is_owned(fs, path, owner, stat, names));
    if (!owned) {
      return not_this_jobs(path, owner);
    }
  }
  ROTOR_RETURN_IF_ERROR(write_owner(fs, path, owner));
  return fs.sync_dir(parent_directory(path));
}

Status remove_owned_directory(FileSystem& fs, const std::string& path, const Owner& owner) {
  const Result<FileStat> stat = fs.stat_link(path);
  if (!stat.ok()) {
    return stat.status().code() == Code::kNotFound ? Status() : stat.status();
  }
  if (!stat->is_directory()) {
    return not_this_jobs(path, owner);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
  ROTOR_ASSIGN_OR_RETURN(const bool owned, is_owned(fs, path, owner, *stat, names));
  if (!owned) {
    return not_this_jobs(path, owner);
  }
  for (const std::string& name : names) {
    if (name != kOwnerFile) {
      ROTOR_RETURN_IF_ERROR(remove_all(fs, join_path(path, name)));
    }
  }
  ROTOR_RETURN_IF_ERROR(disown_directory(fs, path));
  return fs.remove(path);
}

Status disown_directory(FileSystem& fs, const std::string& path) {
  return remove_all(fs, join_path(path, kOwnerFile));
}

}  // namespace rotor::coordinator
