#include "coordinator/jobs/open_job.h"

#include <algorithm>

#include "coordinator/jobs/output_path.h"
#include "quant/io/file.h"

namespace rotor::coordinator {
namespace {

/// What the store and SQLite need besides the tensors, so that a resumed job does not stop at once.
constexpr int64_t kStoreMargin = int64_t{16} << 20;

}  // namespace

Cleanup cleanup_of(const JobRecord& record) {
  const bool succeeded = record.state == v1::JOB_STATE_SUCCEEDED;
  return {record.id, succeeded ? "" : partial_output(record.output_path), record.published,
          record.state == v1::JOB_STATE_FAILED};
}

double mean_error(const v1::LayerReport& report) {
  double sum = 0;
  for (const v1::ModuleReport& module : report.modules()) {
    sum += module.relative_error();
  }
  return report.modules().empty() ? 0 : sum / report.modules_size();
}

void OpenJob::note_layer(LayerRecord layer) {
  layer_seconds += layer.report.seconds();
  layer_errors[layer.layer] = mean_error(layer.report);
  layer.report.Clear();
  const int32_t index = layer.layer;
  layers.insert_or_assign(index, std::move(layer));
}

std::string OpenJob::next_directory(const std::string& state_dir) const {
  return complete() ? parent_directory(record.output_path) : state_dir;
}

int64_t OpenJob::next_bytes() const {
  return kStoreMargin + (complete() ? record.estimate.output_bytes()
                                    : record.estimate.staging_bytes() / std::max(record.layers, 1));
}

bool OpenJob::has_open_work(const Lease& lease) const {
  for (int32_t layer = lease.first; layer < lease.end; ++layer) {
    if (layers.count(layer) == 0) {
      return true;
    }
  }
  return lease.evaluate && evaluation_open();
}

ShardState OpenJob::shard_state() const {
  ShardState state;
  state.propagate = record.spec.propagate() == v1::PROPAGATE_ORIGINAL ? Propagate::kOriginal
                                                                      : Propagate::kQuantized;
  state.committed.assign(static_cast<size_t>(record.layers), false);
  for (const auto& [layer, unused] : layers) {
    state.committed[static_cast<size_t>(layer)] = true;
  }
  for (const auto& [fence, lease] : leases) {
    state.held.push_back({fence, lease.first, lease.end});
  }
  state.evaluation_open = evaluation_open();
  return state;
}

std::optional<double> OpenJob::seconds_left() const {
  if (record.state != v1::JOB_STATE_RUNNING || layers.empty() || layer_seconds <= 0) {
    return std::nullopt;
  }
  const double mean = layer_seconds / static_cast<double>(layers.size());
  const auto groups = static_cast<double>(std::max<size_t>(leases.size(), 1));
  return mean * (record.layers - record.committed_layers) / groups;
}

double OpenJob::tokens_per_second() const {
  if (record.state != v1::JOB_STATE_RUNNING || layers.empty() || layer_seconds <= 0) {
    return 0;
  }
  return static_cast<double>(record.estimate.calibration_tokens()) *
         static_cast<double>(layers.size() * leases.size()) / layer_seconds;
}

}  // namespace rotor::coordinator
