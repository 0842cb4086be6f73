#include "coordinator/jobs/open_job.h"

#include <algorithm>
#include <numeric>

#include "quant/io/file.h"

namespace rotor::coordinator {
namespace {

/// What the store and SQLite need besides the tensors, so that a resumed job does not stop at once.
constexpr int64_t kStoreMargin = int64_t{16} << 20;

}  // namespace

LayerFigures figures_of(const v1::LayerReport& report) {
  LayerFigures figures;
  figures.seconds = report.seconds();
  for (const v1::ModuleReport& module : report.modules()) {
    figures.mean_error += module.relative_error();
    figures.fallbacks += module.fallbacks_size() > 0 ? 1 : 0;
  }
  figures.mean_error /= std::max(report.modules_size(), 1);
  return figures;
}

std::map<int32_t, double> mean_errors(const std::map<int32_t, LayerFigures>& figures) {
  std::map<int32_t, double> errors;
  for (const auto& [layer, of_layer] : figures) {
    errors[layer] = of_layer.mean_error;
  }
  return errors;
}

void OpenJob::note_layer(LayerRecord layer) {
  figures.insert_or_assign(layer.layer, figures_of(layer.report));
  layer.report.Clear();
  const int32_t index = layer.layer;
  layers.insert_or_assign(index, std::move(layer));
}

void OpenJob::forget_layer(int32_t layer) {
  layers.erase(layer);
  figures.erase(layer);
}

double OpenJob::layer_seconds() const {
  return std::accumulate(figures.begin(), figures.end(), 0.0,
                         [](double sum, const auto& entry) { return sum + entry.second.seconds; });
}

std::string OpenJob::next_directory(const std::string& state_dir) const {
  return complete() ? parent_directory(record.output_path) : state_dir;
}

int64_t OpenJob::next_bytes() const {
  return kStoreMargin + (complete() ? record.estimate.output_bytes()
                                    : record.estimate.staging_bytes() / std::max(record.layers, 1));
}

bool OpenJob::has_open_layers(const Lease& lease) const {
  for (int32_t layer = lease.first; layer < lease.end; ++layer) {
    if (layers.count(layer) == 0) {
      return true;
    }
  }
  return false;
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
  const double seconds = layer_seconds();
  if (record.state != v1::JOB_STATE_RUNNING || seconds <= 0) {
    return std::nullopt;
  }
  const double mean = seconds / static_cast<double>(layers.size());
  const auto groups = static_cast<double>(std::max<size_t>(leases.size(), 1));
  return mean * (record.layers - record.committed_layers) / groups;
}

double OpenJob::tokens_per_second() const {
  const double seconds = layer_seconds();
  if (record.state != v1::JOB_STATE_RUNNING || seconds <= 0) {
    return 0;
  }
  return static_cast<double>(record.estimate.calibration_tokens()) *
         static_cast<double>(layers.size() * leases.size()) / seconds;
}

}  // namespace rotor::coordinator
