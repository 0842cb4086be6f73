// The weights of one decoder layer, and of the model's two ends, on a backend.
//
// Owns: tensors on the backend; nothing is shared between layers. Thread-safety: none needed, one
// caller at a time. Fails: where a tensor is missing, or its shape or dtype is not what the
// architecture says; the tensor is named. Cost: the layer's bytes, as they are stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "quant/base/dtype.h"
#include "worker/backend/backend.h"

namespace rotor::worker {

/// Where weights come from. A 1-D tensor counts as one row.
class WeightSource {
 public:
  struct Shape {
    DType dtype = DType::kF32;
    int64_t rows = 0;
    int64_t cols = 0;
  };

  virtual ~WeightSource() = default;
  /// Errors: NOT_FOUND where the model has no such tensor.
  virtual Result<Shape> shape(const std::string& name) = 0;
  /// The tensor, of which shape() told `shape`. A source shared by several ranks may be collective:
  /// every rank then asks for the same tensors in the same order, which load_layer and load_ends
  /// do, and gets the same error.
  virtual Result<Tensor> load(Backend& backend, const std::string& name, const Shape& shape) = 0;
};

/// What is done to the input of a linear before it is multiplied.
struct InputTransform {
  int rotation = 0;                      // Hadamard block; 0: none
  std::optional<ActivationQuant> quant;  // after the rotation
  bool operator==(const InputTransform&) const = default;
};

struct LinearWeights {
  Tensor weight;  // [out_features, in_features]
  Tensor bias;    // [1, out_features], or empty
  InputTransform transform;
};

/// Of a gated delta net, as Backend takes them; else empty.
struct DeltaWeights {
  Tensor convolution;  // [columns, taps]
  Tensor decay;        // [1, value heads]
  Tensor step;         // [1, value heads]
  Tensor norm;         // [1, value_dim]
};

/// Norms are [1, features], offset included, or empty where the stage has none.
struct StageWeights {
  Tensor norm;
  std::vector<LinearWeights> linears;  // in the order of Stage::linears
  std::vector<Tensor> gates;           // in the order of Stage::gates
  Tensor q_norm;                       // ones where the attention has norms without weights
  Tensor k_norm;
  Tensor post_norm;
  Tensor sinks;  // [1, heads], or empty
  RouterWeights router;
  DeltaWeights delta;
};

struct LayerWeights {
  std::vector<StageWeights> stages;  // in the order of Layer::stages
};

/// What stands before the first layer and behind the last.
struct EndWeights {
  Tensor embedding;   // [vocab, hidden]
  Tensor final_norm;  // [1, hidden], offset included
  Tensor head_norm;   // the same, divided by what logits are divided by
  Tensor head;        // [vocab, hidden]; the embedding's memory where they are tied
};

/// A tensor in BF16, F16 or F32 of the given shape, in its own dtype.
Result<Tensor> load_tensor(Backend& backend, WeightSource& source, const std::string& name,
                           int64_t rows, int64_t cols);

/// What the norm multiplies by, offset + weight; empty for an empty norm. A weight without offset
/// keeps its dtype, a sum is F32.
Result<Tensor> load_norm(Backend& backend, WeightSource& source, const Norm& norm);

/// The norms, the router, the gates and the like of a stage and the biases of its linears; weights
/// stay empty. For callers that get the weights themselves in another way (decoded, or solved).
Result<StageWeights> load_stage_vectors(Backend& backend, WeightSource& source, const Stage& stage);

/// A layer as it is stored, with no input transforms.
Result<LayerWeights> load_layer(Backend& backend, WeightSource& source, const Layer& layer);

Result<EndWeights> load_ends(Backend& backend, WeightSource& source,
                             const Architecture& architecture);

}  // namespace rotor::worker
