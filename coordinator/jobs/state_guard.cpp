#include "coordinator/jobs/state_guard.h"

#include <charconv>
#include <vector>

namespace rotor::coordinator {
namespace {

constexpr char kStoreName[] = "jobs.sqlite";
constexpr char kCountName[] = "openings";
constexpr int64_t kLongestCount = 64;

Status refuse(const std::string& reason, const std::string& file, const std::string& message) {
  return failed_precondition(message).with_reason(reason).with_detail("file", file);
}

/// -1 where there is no such file.
Result<int64_t> read_count(FileSystem& fs, const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(fs, path));
  if (!exists) {
    return -1;
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string text, read_whole_file(fs, path, kLongestCount));
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0) {
    return refuse("STATE_DAMAGED", path,
                  path + " must hold a number; remove it if the store beside it is the newest");
  }
  return count;
}

/// 0 for a store of the first version, which counted nothing.
Result<int64_t> openings_of(const std::string& store) {
  Database database;
  ROTOR_RETURN_IF_ERROR(database.open(store));
  ROTOR_ASSIGN_OR_RETURN(const int64_t version, database.query_integer("PRAGMA user_version"));
  return version < 2 ? Result<int64_t>(0) : database.query_integer("SELECT count FROM openings");
}

Status check_age(FileSystem& fs, const std::string& state_dir, const std::string& store) {
  const std::string path = join_path(state_dir, kCountName);
  ROTOR_ASSIGN_OR_RETURN(const int64_t beside, read_count(fs, path));
  ROTOR_ASSIGN_OR_RETURN(const int64_t inside, openings_of(store));
  if (beside <= inside) {
    return {};
  }
  return refuse("STATE_OLDER", path,
                store + " was opened " + std::to_string(inside) + " times, the state beside it " +
                    std::to_string(beside) +
                    " times: it is an old copy. Put the newest one back with its -wal file; or, to "
                    "go on with this one and lose what is newer, remove " +
                    path);
}

}  // namespace

Status check_store(FileSystem& fs, const std::string& state_dir, const StagingArea& staging) {
  const std::string path = join_path(state_dir, kStoreName);
  const Result<FileStat> stat = fs.stat(path);
  if (!stat.ok() && stat.status().code() != Code::kNotFound) {
    return stat.status();
  }
  if (stat.ok() && stat->size > 0) {
    return check_age(fs, state_dir, path);
  }
  ROTOR_ASSIGN_OR_RETURN(const bool counted, path_exists(fs, join_path(state_dir, kCountName)));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> staged, staging.job_directories());
  ROTOR_ASSIGN_OR_RETURN(const bool log, path_exists(fs, path + "-wal"));
  // A first start that was killed leaves an empty file, perhaps with its log, and nothing else.
  if (!counted && staged.empty() && (stat.ok() || !log)) {
    return {};
  }
  return refuse("STATE_LOST", path,
                path + (stat.ok() ? " is empty" : " is missing") + ", yet " + state_dir +
                    " was in use: " + std::to_string(staged.size()) +
                    " jobs have staged layers in it. Put the store back from a copy, or move " +
                    state_dir + " away to begin with an empty one; nothing in it was changed");
}

Status note_opening(FileSystem& fs, const std::string& state_dir, JobStore* store) {
  ROTOR_ASSIGN_OR_RETURN(const int64_t before, store->count_opening());
  return write_file_atomically(fs, join_path(state_dir, kCountName),
                               std::to_string(before + 1) + "\n");
}

Status check_staging(FileSystem& fs, const StagingArea& staging, const JobRecord& job,
                     bool has_files) {
  const std::string directory = staging.job_directory(job.id);
  ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(fs, directory));
  if (!exists) {
    return !has_files ? Status()
                      : refuse("STATE_INCOMPLETE", directory,
                               directory + ", with the committed layers of " + job.name() +
                                   ", is missing: is its disk mounted? Put it back; or make it, "
                                   "empty, to have the layers made again");
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<StagedFile> files, staging.layer_files(job.id));
  for (const StagedFile& file : files) {
    if (file.fence > job.last_fence) {
      return refuse("STATE_OLDER", join_path(directory, file.name),
                    join_path(directory, file.name) + " is newer than the store, which knows " +
                        job.name() + " up to fence " + std::to_string(job.last_fence) +
                        ": the store is an old copy, or lost its -wal file. Put the newest one "
                        "back; or, to go on with this one, move that file away");
    }
  }
  return {};
}

}  // namespace rotor::coordinator
