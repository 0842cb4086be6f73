#include "coordinator/jobs/open_job.h"

#include <algorithm>

#include "quant/io/file.h"

namespace rotor::coordinator {
namespace {

/// What the store and SQLite need besides the tensors, so that a resumed job does not stop at once.
constexpr int64_t kStoreMargin = int64_t{16} << 20;

}  // namespace

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

}  // namespace rotor::coordinator
