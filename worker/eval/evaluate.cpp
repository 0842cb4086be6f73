#include "worker/eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "quant/io/file.h"
#include "worker/eval/runnable_checkpoint.h"

namespace rotor::worker {
namespace {

constexpr int64_t kBatchRows = 1024;

/// A micro-batch of windows, with its residual stream.
struct Batch {
  BatchShape shape;
  int64_t first_window = 0;
  std::span<const int32_t> ids;  // of the caller's windows
  Tensor x;
};

Status check_windows(const TokenWindows& windows) {
  if (windows.seq_len < 2) {
    return invalid_argument("windows have " + std::to_string(windows.seq_len) +
                            " tokens; a next token needs 2 or more")
        .with_reason("BAD_SEQUENCE_LENGTH");
  }
  if (windows.sequences() == 0) {
    return invalid_argument("nothing to evaluate: the text is shorter than one window")
        .with_reason("TEXT_TOO_SHORT");
  }
  return {};
}

Result<std::vector<Batch>> make_batches(Backend& backend, Decoder& decoder, const EndWeights& ends,
                                        const TokenWindows& windows) {
  const int64_t count = windows.sequences();
  const int64_t step = eval_batch_sequences(count, windows.seq_len);
  std::vector<Batch> batches;
  for (int64_t first = 0; first < count; first += step) {
    Batch batch;
    batch.shape = {std::min(step, count - first), windows.seq_len};
    batch.first_window = first;
    const int32_t* const ids = windows.window(first).data();
    batch.ids = {ids, static_cast<size_t>(batch.shape.tokens())};
    ROTOR_ASSIGN_OR_RETURN(batch.x, backend.allocate(backend.activation_dtype(),
                                                     batch.shape.tokens(), ends.embedding.cols()));
    ROTOR_RETURN_IF_ERROR(decoder.embed(ends, batch.ids, batch.x));
    batches.push_back(std::move(batch));
  }
  return batches;
}

Status check_finite(Backend& backend, const Layer& layer, const Batch& batch) {
  ROTOR_ASSIGN_OR_RETURN(const float largest, backend.max_abs(batch.x));
  if (std::isfinite(largest)) {
    return {};
  }
  const std::string windows = std::to_string(batch.first_window) + " to " +
                              std::to_string(batch.first_window + batch.shape.sequences - 1);
  return invalid_argument("activations behind layer " + std::to_string(layer.index) +
                          " are not finite in windows " + windows +
                          ": the weights up to it overflow or hold NaN")
      .with_reason("NON_FINITE_ACTIVATIONS")
      .with_detail("layer", std::to_string(layer.index));
}

}  // namespace

int64_t eval_batch_sequences(int64_t sequences, int64_t seq_len) {
  return std::clamp<int64_t>(kBatchRows / seq_len, 1, sequences);
}

void Loss::add(std::span<const double> losses) {
  for (const double loss : losses) {
    sum += loss;
  }
  tokens += std::ssize(losses);
}

EvalResult finish_loss(const Loss& sum, int64_t sequences) {
  return {std::exp(sum.sum / static_cast<double>(sum.tokens)), sum.tokens, sequences, {}};
}

Result<EvalResult> evaluate(Backend& backend, const std::string& directory,
                            const TokenWindows& windows, const EvalProgress& progress) {
  ROTOR_RETURN_IF_ERROR(check_windows(windows));
  ROTOR_ASSIGN_OR_RETURN(const RunnableCheckpoint checkpoint,
                         RunnableCheckpoint::open(posix_file_system(), directory));
  const Architecture& architecture = checkpoint.architecture();
  ROTOR_ASSIGN_OR_RETURN(Decoder decoder,
                         Decoder::create(backend, architecture.config, windows.seq_len));
  ROTOR_ASSIGN_OR_RETURN(const EndWeights ends, checkpoint.ends(backend));
  ROTOR_ASSIGN_OR_RETURN(const std::vector<Batch> batches,
                         make_batches(backend, decoder, ends, windows));

  const auto total = static_cast<int64_t>(architecture.layers.size()) + 1;
  int64_t done = 0;
  for (const Layer& layer : architecture.layers) {
    ROTOR_ASSIGN_OR_RETURN(const LayerWeights weights, checkpoint.layer(backend, layer));
    for (const Batch& batch : batches) {
      ROTOR_RETURN_IF_ERROR(decoder.forward_layer(layer, weights, batch.shape, batch.x));
      ROTOR_RETURN_IF_ERROR(check_finite(backend, layer, batch));
    }
    progress(++done, total);
  }
  // Added up by micro-batches, as the pipeline does it.
  Loss sum;
  std::vector<double> losses;
  for (const Batch& batch : batches) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<double> part,
                           decoder.losses(ends, batch.shape, batch.ids, batch.x));
    Loss of_batch;
    of_batch.add(part);
    sum.sum += of_batch.sum;
    sum.tokens += of_batch.tokens;
    losses.insert(losses.end(), part.begin(), part.end());
  }
  progress(total, total);
  EvalResult result = finish_loss(sum, windows.sequences());
  if (!std::isfinite(result.perplexity)) {
    return data_loss(
               "the perplexity is no number: the final norm or the output head holds NaN, or "
               "logits overflow; see `rotor verify` for tensors that are not finite")
        .with_reason("NON_FINITE_PERPLEXITY");
  }
  result.losses = std::move(losses);
  return result;
}

}  // namespace rotor::worker
