// What is asked of the core beside its jobs' lives: counts, errors, estimates, and keeping house.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/jobs/core.h"
#include "quant/io/file.h"

namespace rotor::coordinator {
namespace {

double flops_of_a_layer(const JobRecord& record) {
  return record.estimate.flops() / std::max(record.layers, 1);
}

}  // namespace

Result<std::map<v1::JobState, int64_t>> Core::count_jobs() {
  return store_->count_by_state();
}

Result<std::map<int32_t, double>> Core::layer_errors(const std::string& name) {
  ROTOR_ASSIGN_OR_RETURN(const std::string id, id_of(name));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [sequence, job] : jobs_) {
      if (job->record.id == id) {
        return mean_errors(job->figures);
      }
    }
  }
  ROTOR_ASSIGN_OR_RETURN(const JobRecord record, store_->job(id));
  return ended_errors_.of(*store_, record);
}

void Core::note_pace(const OpenJob& job, const v1::LayerReport& report) {
  if (report.seconds() > 0) {
    pace_ = flops_of_a_layer(job.record) / report.seconds();
  }
}

void Core::recall_pace() {
  const Result<JobPage> last = store_->list(0, 1, {v1::JOB_STATE_SUCCEEDED});
  if (!last.ok()) {
    return spdlog::warn("the pace of earlier jobs is not known: {}", last.status().to_string());
  }
  if (last->jobs.empty()) {
    return;
  }
  OpenJob job;
  job.record = last->jobs.front();
  const Result<std::vector<LayerRecord>> layers = store_->layers(job.record.sequence);
  if (!layers.ok()) {
    return spdlog::warn("the pace of earlier jobs is not known: {}", layers.status().to_string());
  }
  if (!layers->empty()) {
    note_pace(job, layers->back().report);
  }
}

void Core::complete_estimate(const std::string& output_path, v1::Estimate* estimate) {
  if (pace_ > 0) {
    estimate->set_seconds(estimate->flops() / pace_);
  }
  if (const Result<int64_t> free = fs_.free_space(options_.state_dir); free.ok()) {
    estimate->set_staging_free_bytes(*free);
  }
  const std::string above = existing_above(fs_, output_path);
  if (above != parent_directory(output_path)) {
    estimate->add_warnings("the directory " + parent_directory(output_path) +
                           " does not exist: it is made with the job");
  }
  if (const Result<int64_t> free = fs_.free_space(above); free.ok()) {
    estimate->set_output_free_bytes(*free);
  }
}

void Core::keep_house() {
  if (options_.retain_seconds > 0) {
    const auto retained_us = static_cast<int64_t>(options_.retain_seconds * 1e6);
    const Result<std::vector<std::string>> old =
        store_->ended_before(clock_.wall_us() - retained_us);
    if (!old.ok()) {
      spdlog::warn("jobs that ended long ago are not forgotten: {}", old.status().to_string());
    }
    for (const std::string& id : old.ok() ? *old : std::vector<std::string>()) {
      const Status removed = remove("jobs/" + id);
      spdlog::log(removed.ok() ? spdlog::level::info : spdlog::level::warn,
                  "jobs/{} ended longer ago than jobs are kept: {}", id,
                  removed.ok() ? "forgotten" : removed.to_string());
    }
  }
  if (const Status vacuumed = store_->vacuum(); !vacuumed.ok()) {
    spdlog::warn("the store keeps its free pages: {}", vacuumed.to_string());
  }
}

}  // namespace rotor::coordinator
