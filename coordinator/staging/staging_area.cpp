#include "coordinator/staging/staging_area.h"

#include <cstdio>

#include "coordinator/staging/owned_directory.h"

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
  const std::string directory = job_directory(job_id);
  ROTOR_ASSIGN_OR_RETURN(const bool marked, path_exists(*fs_, join_path(directory, kOwnerFile)));
  if (!marked) {
    // An older program made directories without the owner's file. Their names are the jobs'.
    ROTOR_RETURN_IF_ERROR(create_directories(*fs_, directory));
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs_->stat_link(directory));
    ROTOR_RETURN_IF_ERROR(make_owned_directory(*fs_, directory, {job_id, identity_of(stat)}));
  }
  // The names on the way to a committed layer must last as the layer does.
  ROTOR_RETURN_IF_ERROR(fs_->sync_dir(directory_));
  return fs_->sync_dir(parent_directory(directory_));
}

Status StagingArea::remove_job(const std::string& job_id) {
  return remove_owned_directory(*fs_, job_directory(job_id), {job_id, ""});
}

Result<std::vector<std::string>> StagingArea::job_directories() const {
  ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(*fs_, directory_));
  return exists ? fs_->list(directory_) : std::vector<std::string>();
}

Result<std::vector<StagedFile>> StagingArea::layer_files(const std::string& job_id) const {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->list(job_directory(job_id)));
  std::vector<StagedFile> files;
  for (const std::string& name : names) {
    StagedFile file{name, 0};
    int layer = 0;
    long long fence = 0;
    if (std::sscanf(name.c_str(), "layer-%d.fence-%lld.", &layer, &fence) == 2) {
      file.fence = fence;
      files.push_back(std::move(file));
    }
  }
  return files;
}

Status StagingArea::keep_files(const std::string& job_id, const std::set<std::string>& files) {
  ROTOR_ASSIGN_OR_RETURN(const std::vector<StagedFile> found, layer_files(job_id));
  for (const StagedFile& file : found) {
    if (files.count(file.name) == 0) {
      ROTOR_RETURN_IF_ERROR(fs_->remove(layer_path(job_id, file.name)));
    }
  }
  return {};
}

}  // namespace rotor::coordinator
