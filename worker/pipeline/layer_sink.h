// Where a group's results go, and where committed layers come back from: the coordinator's uploads
// in a job, memory in tests and benchmarks.
//
// Each rank has its own. put may return before the tensors are away; flush waits. The next layer
// may be put while one is finished and not committed. Thread-safety: called from the rank's main
// thread. Errors: ABORTED (reason LEASE_LOST) once the group no longer holds its lease, CANCELLED
// when the process was told to stop (reason DRAINING) or the job was paused (PAUSED); UNAVAILABLE
// when the coordinator is out of reach.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/memory_source.h"
#include "quant/checkpoint/tensor_spec.h"
#include "worker/pipeline/results.h"

namespace rotor::worker {

/// Tensors that are made when their turn comes, on a thread of the sink's: what is on its way from
/// the device need not be waited for.
struct PendingTensors {
  size_t bytes = 0;  // that they will take
  std::function<Result<std::vector<StoredTensor>>()> make;
};

struct UploadedTensor {
  TensorSpec spec;
  std::string sha256;
};

class LayerSink {
 public:
  virtual ~LayerSink() = default;

  /// Whether to go on; asked by the first rank before every stage, by all ranks at a boundary.
  /// `at_boundary`: nothing of a layer is in the making, so stopping here loses no work.
  virtual Status check(bool at_boundary) = 0;
  /// First rank: on its way forward to its first open layer, `until_layer`, the group comes to
  /// `layer`.
  virtual Status passing(int layer, int until_layer) = 0;
  /// First rank: a stage is solved.
  virtual Status stage_done(int layer, int stage, int stages,
                            const std::vector<ModuleResult>& modules) = 0;
  /// Any rank: tensors of a layer in the making. An error of making them is told by a later call.
  virtual Status put(int layer, PendingTensors tensors) = 0;
  /// Any rank: nothing more of the layer will be put. Does not wait.
  virtual Status finish(int layer) = 0;
  /// Any rank, once for a finished layer: waits until all of it is away, and tells what it was.
  virtual Result<std::vector<UploadedTensor>> flush(int layer) = 0;
  /// First rank: returns once the layer is durable.
  virtual Status commit(const LayerResult& result, const std::vector<UploadedTensor>& tensors) = 0;
  /// First rank: the tensors of a committed layer.
  virtual Result<MemorySource> fetch(int layer, const std::vector<TensorSpec>& expected) = 0;
};

}  // namespace rotor::worker
