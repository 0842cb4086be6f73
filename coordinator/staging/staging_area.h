// The directory of staged layers: STATE/staging/JOB/layer-00003.fence-7.safetensors. The fence is
// in the name, so that a lease that is over can never write over what a newer one has committed;
// which file counts is in the job store alone.
//
// Thread-safety: from any thread. Errors: those of the file system.
#pragma once

#include <set>
#include <string>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

class StagingArea {
 public:
  StagingArea(FileSystem* fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}

  static std::string layer_file(int32_t layer, int64_t fence);
  std::string job_directory(const std::string& job_id) const;
  std::string layer_path(const std::string& job_id, const std::string& file) const;

  /// Makes the job's directory where it is missing.
  Status prepare_job(const std::string& job_id);
  /// Removes the job's directory with all that is in it.
  Status remove_job(const std::string& job_id);
  /// Removes every job directory that is not in `jobs`.
  Status keep_jobs(const std::set<std::string>& jobs);
  /// Removes every file of the job that is not in `files`.
  Status keep_files(const std::string& job_id, const std::set<std::string>& files);
  const std::string& directory() const { return directory_; }

 private:
  Status keep(const std::string& directory, const std::set<std::string>& names);

  FileSystem* fs_;
  std::string directory_;
};

}  // namespace rotor::coordinator
