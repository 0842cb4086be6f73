// Perplexity of a checkpoint directory, original or quantized, as `rotor eval` defines it
// (design.md section 6), and how far its predictions are from those of its source.
//
// Works layer by layer over all windows, so memory is one layer's weights plus the residual stream
// of all windows, never the model; a comparison keeps the streams and heads of both models.
// Thread-safety: one caller at a time per backend. Fails: as the checkpoint reader does, and
// UNIMPLEMENTED by name for a checkpoint it cannot run.
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
  std::vector<double> losses;  // of each predicted position, nats; not from finish_loss
};

/// A checkpoint beside its source. The Kullback-Leibler divergence of a token is taken from the
/// source's probabilities P to the checkpoint's Q, sum of P (log P - log Q) over the vocabulary:
/// 0 where nothing changed, and, unlike a perplexity, never better for a change.
struct Comparison {
  EvalResult result;
  EvalResult source;
  double kl = 0.0;                  // mean over the predicted positions, nats
  double same_top = 0.0;            // share of them where both models predict the same token
  std::vector<double> kl_by_token;  // in the order of EvalResult::losses
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

/// The checkpoint in `directory` and its source on the same windows. Error besides those of
/// evaluate(): INVALID_ARGUMENT (reason OTHER_VOCABULARY) naming both where their vocabularies
/// differ.
Result<Comparison> compare(Backend& backend, const std::string& directory,
                           const std::string& source, const TokenWindows& windows,
                           const EvalProgress& progress);

}  // namespace rotor::worker
