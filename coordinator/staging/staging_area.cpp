#include "coordinator/staging/staging_area.h"

#include <cstdio>

namespace rotor::coordinator {

std::string StagingArea::layer_file(int32_t layer, int64_t fence) {
  char name[80];
  std::snprintf(name, sizeof(name), "layer-%05d.fence-%lld.safetensors", layer,
                static_cast<long long>(fence));
  return name;
}

std::string StagingArea::job_directory(const std::string& job_id) const {
  return join_path(directory_, job_id);
}

std::string StagingArea::layer_path(const std::string& job_id, const std::string& file) const {
  return join_path(job_directory(job_id), file);
}

Status StagingArea::prepare_job(const std::string& job_id) {
  ROTOR_RETURN_IF_ERROR(create_directories(*fs_, job_directory(job_id)));
  // The names on the way to a committed layer must last as the layer does.
  ROTOR_RETURN_IF_ERROR(fs_->sync_dir(directory_));
  return fs_->sync_dir(parent_directory(directory_));
}

Status StagingArea::remove_job(const std::string& job_id) {
  return remove_all(*fs_, job_directory(job_id));
}

Status StagingArea::keep_jobs(const std::set<std::string>& jobs) {
  return keep(directory_, jobs);
}

Status StagingArea::keep_files(const std::string& job_id, const std::set<std::string>& files) {
  return keep(job_directory(job_id), files);
}

Status StagingArea::keep(const std::string& directory, const std::set<std::string>& names) {
  ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(*fs_, directory));
  if (!exists) {
    return {};
  }
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> found, fs_->list(directory));
  for (const std::string& name : found) {
    if (names.count(name) == 0) {
      ROTOR_RETURN_IF_ERROR(remove_all(*fs_, join_path(directory, name)));
    }
  }
  return {};
}

}  // namespace rotor::coordinator
