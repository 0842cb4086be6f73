#include "coordinator/jobs/open_job.h"

namespace rotor::coordinator {

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
