// How long a layer takes here: one is quantized as a job would do it, and what comes out is
// dropped.
//
// Thread-safety: main thread. Cost: a layer's part of a job of these micro-batches. Errors: those
// of LayerQuantizer.
#pragma once

#include <vector>

#include "worker/pipeline/layer_quantizer.h"

namespace rotor::worker {

/// Of one rank on this device with the settings of a plan.
struct LayerTime {
  int layer = 0;
  int64_t tokens = 0;
  double by_token_seconds = 0.0;  // forward pass and Hessians, which grow with the tokens
  double fixed_seconds = 0.0;     // the rest
};

/// `batches` stand before the layer, and are used up.
Result<LayerTime> time_layer(Backend& backend, Decoder& decoder, const ModelPlan& plan,
                             const BatchCut& cut, std::vector<MicroBatch> batches,
                             const LayerWeights& weights, int layer);

}  // namespace rotor::worker
