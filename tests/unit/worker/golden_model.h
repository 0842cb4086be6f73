// A model directory with everything that a forward pass needs, and the comparison of what the
// decoder makes of it with what the transformers library made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model_files.h"
#include "tests/unit/worker/golden.h"
#include "worker/model/decoder.h"

namespace rotor::worker::testing {

struct Model {
  std::unique_ptr<Backend> backend;
  ModelFiles files;
  EndWeights ends;
  std::vector<LayerWeights> layers;

  /// Null, with a failure of the test, where it cannot be opened.
  static std::unique_ptr<Model> open(const std::string& directory,
                                     std::unique_ptr<Backend> backend = make_cpu_backend(2));

  const ModelConfig& config() const { return files.architecture.config; }
  Decoder decoder(int64_t seq_len) const {
    return Decoder::create(*backend, config(), seq_len).value();
  }
  /// Activations.
  Tensor rows(int64_t count, int64_t cols) const {
    return backend->allocate(backend->activation_dtype(), count, cols).value();
  }
};

/// In F32, whatever dtype they have.
std::vector<float> values_of(Backend& backend, const Tensor& tensor);

/// Runs the golden ids as one sequence and holds every hidden state, the logits and their loss
/// against it, relative in the Euclidean norm. F32 embeddings are the same bits.
void expect_golden(const Model& model, const Golden& golden, double tolerance);

}  // namespace rotor::worker::testing
