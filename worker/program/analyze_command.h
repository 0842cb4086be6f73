// `rotor-worker analyze`: the figures of a model before it is quantized, what `rotor analyze` runs.
#pragma once

#include <string>
#include <vector>

#include "quant/base/status.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

struct AnalyzeOptions {
  std::string directory;
  std::string windows;     // JSON lines with input_ids, as `rotor prepare-calibration` writes them
  int64_t sequences = 16;  // of them, the first
  int64_t seq_len = 2048;
  std::vector<int> layers;  // empty: all
  bool no_timing = false;
  int threads = 0;  // 0: all
};

/// Prints one JSON object on stdout: that of analyze/analysis_json.h, with model_layers, device,
/// sequences, seq_len, tokens and seconds; progress goes to stderr. On an error it prints nothing:
/// the caller does. Errors: those of the model, the windows and the analysis.
Status run_analyze(Backend& backend, const AnalyzeOptions& options);

}  // namespace rotor::worker
