// Perplexity of a checkpoint directory, original or quantized, as `rotor eval` defines it
// (design.md section 6).
//
// Works layer by layer over all windows, so memory is one layer's weights plus the residual stream
// of all windows, never the model. Thread-safety: one caller at a time per backend. Fails: as the
// checkpoint reader does, and UNIMPLEMENTED by name for a checkpoint it cannot run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/calibration/token_windows.h"
#include "worker/backend/backend.h"
#include "worker/model/decoder.h"

namespace rotor::worker {

/// Next-token losses added up, in their order.
struct Loss {
  double sum = 0.0;  // nats
  int64_t tokens = 0;

  void add(std::span<const double> losses);
};

struct EvalResult {
  double perplexity = 0.0;  // exp of the mean next-token loss
  int64_t tokens = 0;       // predicted positions: (seq_len - 1) a window
  int64_t sequences = 0;
  std::vector<double> losses;  // of each predicted position, nats; evaluate alone fills them in
};

/// Called after every layer, and once more after the head: `done` of `total` steps.
using EvalProgress = std::function<void(int64_t done, int64_t total)>;

/// Sequences that go through a layer together: as many as fill about a thousand rows, which is
/// where the GEMMs are at their rate. A function of the shapes, so results are the same anywhere.
int64_t eval_batch_sequences(int64_t sequences, int64_t seq_len);

/// How the pipeline ends its in-memory evaluation, too.
EvalResult finish_loss(const Loss& sum, int64_t sequences);

/// `windows`: one or more of 2 tokens or more, every id below the model's vocabulary. A checkpoint
/// quantized with a4 has its activations rotated and quantized too.
Result<EvalResult> evaluate(Backend& backend, const std::string& directory,
                            const TokenWindows& windows, const EvalProgress& progress);

}  // namespace rotor::worker
