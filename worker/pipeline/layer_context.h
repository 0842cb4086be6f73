// What all layers of a shard share.
//
// Errors of put_module: those of the sink.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/plan.h"
#include "quant/checkpoint/layout.h"
#include "worker/backend/backend.h"
#include "worker/comm/communicator.h"
#include "worker/model/decoder.h"
#include "worker/pipeline/layer_sink.h"
#include "worker/pipeline/memory_plan.h"
#include "worker/pipeline/micro_batches.h"
#include "worker/pipeline/pending_matrix.h"

namespace rotor::worker {

struct LayerContext {
  Backend& backend;
  Communicator& comm;
  Decoder& decoder;
  const ModelPlan& plan;
  const CheckpointLayout& layout;
  LayerSink& sink;
  const BatchCut& cut;               // of the calibration set
  std::vector<MicroBatch>& batches;  // this rank's
  const MemoryPlan& memory;
  /// Called by every rank half-way through the layer: time to settle what the layer before left.
  std::function<Status()> settle;
};

/// Hands a solved module to the sink, which encodes it for the layout once it is there.
Status put_module(const LayerContext& context, int layer, const std::string& module,
                  PendingMatrix&& pending);

}  // namespace rotor::worker
