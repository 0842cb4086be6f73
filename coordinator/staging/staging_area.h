// The directory of staged layers: STATE/staging/JOB/layer-00003.fence-7.safetensors. The fence is
// in the name, so that a lease that is over can never write over what a newer one has committed;
// which file counts is in the job store alone.
//
// Thread-safety: from any thread. Errors: those of the file system.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/io/file.h"

namespace rotor::coordinator {

struct StagedFile {
  std::string name;
  int64_t fence = 0;
};

class StagingArea {
 public:
  StagingArea(FileSystem* fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}

  static std::string layer_file(int32_t layer, int64_t fence);
  std::string job_directory(const std::string& job_id) const;
  std::string layer_path(const std::string& job_id, const std::string& file) const;

  /// Makes the job's directory where it is missing, and marks it as the job's.
  Status prepare_job(const std::string& job_id);
  /// Removes the job's directory with all that is in it, once it is shown to be the job's.
  Status remove_job(const std::string& job_id);
  /// Names of all that lies in the staging directory, sorted.
  Result<std::vector<std::string>> job_directories() const;
  /// The job's layers, whole or partial.
  Result<std::vector<StagedFile>> layer_files(const std::string& job_id) const;
  /// Removes every layer of the job that is not in `files`. Whatever else lies there stays.
  Status keep_files(const std::string& job_id, const std::set<std::string>& files);
  const std::string& directory() const { return directory_; }

 private:
  FileSystem* fs_;
  std::string directory_;
};

}  // namespace rotor::coordinator
