// Looks at a model before it is quantized: the figures of each stage (figures.h), and the time that
// one layer takes.
//
// Layer by layer on the forward pass of the pipeline, with the model's weights as they are: memory
// is one layer's weights and the residual stream of all windows (twice while a layer is timed),
// never the model. Figures come of samples, which a larger model does not make larger.
// Thread-safety: one caller at a time per backend. Fails: as open_model's files read, as the plan
// of a job with default settings, and NOT_FINITE by name.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "model/calibration/token_windows.h"
#include "model/model_files.h"
#include "worker/analyze/figures.h"
#include "worker/analyze/layer_time.h"

namespace rotor::worker {

struct AnalyzeTask {
  TokenWindows windows;
  std::vector<int> layers;  // ascending; empty: all
  bool time_a_layer = true;
};

struct Analysis {
  std::vector<StageFigures> stages;  // in model order
  std::vector<int> layers;           // that were looked at
  std::optional<LayerTime> time;     // of the first of them
};

/// Called after every layer: `done` of `total`.
using AnalyzeProgress = std::function<void(int64_t done, int64_t total)>;

/// Error, besides: INVALID_ARGUMENT, reason NO_SUCH_LAYER, with the layers that there are.
Result<Analysis> analyze(Backend& backend, const ModelFiles& model, const AnalyzeTask& task,
                         Parallel& parallel, const AnalyzeProgress& progress);

}  // namespace rotor::worker
