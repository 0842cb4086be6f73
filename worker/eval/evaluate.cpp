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

struct Steps {
  const EvalProgress& progress;
  int64_t done = 0;
  int64_t total = 0;

  void next() { progress(++done, total); }
};

int64_t layers_of(const RunnableCheckpoint& checkpoint) {
  return std::ssize(checkpoint.architecture().layers);
}

/// A model whose layers are behind it.
struct FinishedModel {
  Decoder decoder;
  EndWeights ends;
  std::vector<Batch> batches;
};

Result<FinishedModel> run_layers(Backend& backend, const RunnableCheckpoint& checkpoint,
                                 const TokenWindows& windows, Steps& steps) {
  const Architecture& architecture = checkpoint.architecture();
  ROTOR_ASSIGN_OR_RETURN(Decoder decoder,
                         Decoder::create(backend, architecture.config, windows.seq_len));
  ROTOR_ASSIGN_OR_RETURN(EndWeights ends, checkpoint.ends(backend));
  ROTOR_ASSIGN_OR_RETURN(std::vector<Batch> batches, make_batches(backend, decoder, ends, windows));
  for (const Layer& layer : architecture.layers) {
    ROTOR_ASSIGN_OR_RETURN(const LayerWeights weights, checkpoint.layer(backend, layer));
    for (const Batch& batch : batches) {
      ROTOR_RETURN_IF_ERROR(decoder.forward_layer(layer, weights, batch.shape, batch.x));
      ROTOR_RETURN_IF_ERROR(check_finite(backend, layer, batch));
    }
    steps.next();
  }
  decoder.release_scratch();
  return FinishedModel{std::move(decoder), std::move(ends), std::move(batches)};
}

/// Added up by micro-batches, as the pipeline does it.
class LossSum {
 public:
  void add(const std::vector<double>& of_batch) {
    Loss part;
    part.add(of_batch);
    sum_.sum += part.sum;
    sum_.tokens += part.tokens;
    losses_.insert(losses_.end(), of_batch.begin(), of_batch.end());
  }

  Result<EvalResult> finish(int64_t sequences) {
    EvalResult result = finish_loss(sum_, sequences);
    if (!std::isfinite(result.perplexity)) {
      return data_loss(
                 "the perplexity is no number: the final norm or the output head holds NaN, or "
                 "logits overflow; see `rotor verify` for tensors that are not finite")
          .with_reason("NON_FINITE_PERPLEXITY");
    }
    result.losses = std::move(losses_);
    return result;
  }

 private:
  Loss sum_;
  std::vector<double> losses_;
};

Status check_vocabularies(const RunnableCheckpoint& source, const std::string& source_directory,
                          const RunnableCheckpoint& checkpoint, const std::string& directory) {
  const int64_t before = source.architecture().config.vocab_size;
  const int64_t after = checkpoint.architecture().config.vocab_size;
  if (before == after) {
    return {};
  }
  return invalid_argument(directory + " has a vocabulary of " + std::to_string(after) +
                          " tokens, and " + source_directory + " one of " + std::to_string(before) +
                          ": compare a checkpoint with the model that it was made from")
      .with_reason("OTHER_VOCABULARY")
      .with_detail("file", source_directory + "/config.json")
      .with_detail("key", "vocab_size");
}

Result<Comparison> compare_heads(Backend& backend, FinishedModel& before, FinishedModel& after,
                                 const TokenWindows& windows) {
  Comparison comparison;
  LossSum of_source;
  LossSum of_checkpoint;
  double kl = 0.0;
  int64_t same = 0;
  for (size_t i = 0; i < after.batches.size(); ++i) {
    ROTOR_ASSIGN_OR_RETURN(const Logits source,
                           before.decoder.logits(before.ends, before.batches[i].x));
    ROTOR_ASSIGN_OR_RETURN(const Logits other,
                           after.decoder.logits(after.ends, after.batches[i].x));
    ROTOR_ASSIGN_OR_RETURN(
        const ComparedPredictions compared,
        backend.compare_predictions(source, other, after.batches[i].ids, windows.seq_len));
    of_source.add(compared.source_losses);
    of_checkpoint.add(compared.other_losses);
    for (const Divergence& of_token : compared.divergences) {
      kl += of_token.kl;
      same += of_token.same_top ? 1 : 0;
      comparison.kl_by_token.push_back(of_token.kl);
    }
  }
  ROTOR_ASSIGN_OR_RETURN(comparison.source, of_source.finish(windows.sequences()));
  ROTOR_ASSIGN_OR_RETURN(comparison.result, of_checkpoint.finish(windows.sequences()));
  const auto tokens = static_cast<double>(comparison.kl_by_token.size());
  comparison.kl = kl / tokens;
  comparison.same_top = static_cast<double>(same) / tokens;
  return comparison;
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
  const int64_t total = layers_of(checkpoint) + 1;
  Steps steps{progress, 0, total};
  ROTOR_ASSIGN_OR_RETURN(FinishedModel model, run_layers(backend, checkpoint, windows, steps));
  LossSum losses;
  for (const Batch& batch : model.batches) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<double> of_batch,
                           model.decoder.losses(model.ends, batch.shape, batch.ids, batch.x));
    losses.add(of_batch);
  }
  ROTOR_ASSIGN_OR_RETURN(EvalResult result, losses.finish(windows.sequences()));
  steps.next();
  return result;
}

Result<Comparison> compare(Backend& backend, const std::string& directory,
                           const std::string& source, const TokenWindows& windows,
                           const EvalProgress& progress) {
  ROTOR_RETURN_IF_ERROR(check_windows(windows));
  ROTOR_ASSIGN_OR_RETURN(const RunnableCheckpoint of_source,
                         RunnableCheckpoint::open(posix_file_system(), source));
  ROTOR_ASSIGN_OR_RETURN(const RunnableCheckpoint checkpoint,
                         RunnableCheckpoint::open(posix_file_system(), directory));
  ROTOR_RETURN_IF_ERROR(check_vocabularies(of_source, source, checkpoint, directory));
  Steps steps{progress, 0, layers_of(of_source) + layers_of(checkpoint) + 1};
  ROTOR_ASSIGN_OR_RETURN(FinishedModel before, run_layers(backend, of_source, windows, steps));
  ROTOR_ASSIGN_OR_RETURN(FinishedModel after, run_layers(backend, checkpoint, windows, steps));
  ROTOR_ASSIGN_OR_RETURN(Comparison comparison, compare_heads(backend, before, after, windows));
  steps.next();
  return comparison;
}

}  // namespace rotor::worker
