// The real pipeline over one decoder layer of random weights, timed: LayerQuantizer with a sink
// that digests and drops. Activations are on the backend when the clock starts; it stops when every
// rank has done everything but the sink's digesting.
//
// The layer runs `repeat` times as a job runs it, then once more with waits at both ends of every
// phase, which is where phases, and the peak of memory, come from. All runs must give the same
// bytes.
//
// Collective. Thread-safety: main thread. Errors: those of the pipeline; INTERNAL (NOT_REPRODUCED)
// where two runs differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/plan.h"
#include "worker/backend/backend.h"
#include "worker/bench/ceilings.h"
#include "worker/bench/shapes.h"
#include "worker/comm/communicator.h"
#include "worker/pipeline/memory_plan.h"
#include "worker/pipeline/results.h"

namespace rotor::worker::bench {

struct LayerBenchOptions {
  ModelShape shape{};
  QuantOptions quant;  // lanes and micro-batch included
  int64_t sequences = 128;
  int64_t seq_len = 2048;
  int repeat = 1;
  uint64_t seed = 0;
  std::optional<MemoryPlan> memory = std::nullopt;  // else what fits
};

struct LayerBenchResult {
  std::vector<double> runs;  // seconds, as a job runs
  LayerResult waited;       // of the run whose phases wait: seconds, phases (first rank's), modules
  Ceilings ceilings;        // of the first rank
  std::string memory_plan;  // of the first rank, in words
  int64_t peak_bytes = 0;   // of the first rank's memory
  int64_t uploaded_bytes = 0;  // by all ranks
  std::string digest;          // of all uploaded tensors
};

/// The same on every rank, but for times and memory.
Result<LayerBenchResult> run_layer_bench(Backend& backend, Communicator& comm,
                                         const LayerBenchOptions& options);

/// One JSON object, for the first rank to print.
std::string layer_bench_json(const LayerBenchOptions& options, const LayerBenchResult& result,
                             const DeviceInfo& device, int ranks);

}  // namespace rotor::worker::bench
