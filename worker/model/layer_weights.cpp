#include "worker/model/layer_weights.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "quant/format/bf16.h"

namespace rotor::worker {
namespace {

std::string shape_text(int64_t rows, int64_t cols) {
  std::string text("[");
  text += std::to_string(rows);
  text += ", ";
  text += std::to_string(cols);
  text += "]";
  return text;
}

Status check_tensor(const std::string& name, const WeightSource::Shape& shape, int64_t rows,
                    int64_t cols) {
  if (shape.rows != rows || shape.cols != cols) {
    return invalid_argument("tensor " + name + " is " + shape_text(shape.rows, shape.cols) +
                            ", and config.json asks for " + shape_text(rows, cols))
        .with_reason("BAD_TENSOR_SHAPE")
        .with_detail("tensor", name);
  }
  if (shape.dtype != DType::kBf16 && shape.dtype != DType::kF16 && shape.dtype != DType::kF32) {
    return invalid_argument("tensor " + name + " is " + std::string(dtype_name(shape.dtype)) +
                            ": weights must be BF16, F16 or F32; convert the model")
        .with_reason("BAD_TENSOR_DTYPE")
        .with_detail("tensor", name);
  }
  return {};
}

/// `map` of each element of a vector, in F32.
Result<Tensor> mapped(Backend& backend, const Tensor& vector,
                      const std::function<float(float)>& map) {
  std::vector<uint8_t> bytes(vector.bytes());
  ROTOR_RETURN_IF_ERROR(backend.download(vector, bytes.data(), bytes.size()));
  std::vector<float> values(static_cast<size_t>(vector.size()));
  ROTOR_RETURN_IF_ERROR(widen_to_f32(bytes.data(), vector.dtype(), vector.size(), values.data()));
  std::transform(values.begin(), values.end(), values.begin(), map);
  ROTOR_ASSIGN_OR_RETURN(const Tensor out, backend.allocate(DType::kF32, 1, vector.size()));
  ROTOR_RETURN_IF_ERROR(backend.upload(values.data(), out.bytes(), out));
  return out;
}

Result<Tensor> ones(Backend& backend, int64_t features) {
  const std::vector<float> values(static_cast<size_t>(features), 1.0F);
  ROTOR_ASSIGN_OR_RETURN(const Tensor out, backend.allocate(DType::kF32, 1, features));
  ROTOR_RETURN_IF_ERROR(backend.upload(values.data(), out.bytes(), out));
  return out;
}

Result<DeltaWeights> load_delta(Backend& backend, WeightSource& source, const DeltaNet& delta) {
  DeltaWeights weights;
  ROTOR_ASSIGN_OR_RETURN(weights.norm, load_norm(backend, source, delta.norm));
  ROTOR_ASSIGN_OR_RETURN(weights.convolution, load_tensor(backend, source, delta.convolution,
                                                          delta.mixed_features(), delta.taps));
  ROTOR_ASSIGN_OR_RETURN(weights.decay,
                         load_tensor(backend, source, delta.decay, 1, delta.value_heads));
  ROTOR_ASSIGN_OR_RETURN(weights.step,
                         load_tensor(backend, source, delta.step, 1, delta.value_heads));
  return weights;
}

}  // namespace

Result<Tensor> load_tensor(Backend& backend, WeightSource& source, const std::string& name,
                           int64_t rows, int64_t cols) {
  ROTOR_ASSIGN_OR_RETURN(const WeightSource::Shape shape, source.shape(name));
  ROTOR_RETURN_IF_ERROR(check_tensor(name, shape, rows, cols));
  return source.load(backend, name, shape);
}

Result<Tensor> load_norm(Backend& backend, WeightSource& source, const Norm& norm) {
  if (norm.empty()) {
    return Tensor();
  }
  ROTOR_ASSIGN_OR_RETURN(const Tensor stored,
                         load_tensor(backend, source, norm.weight, 1, norm.features));
  return norm.offset == 0.0F
             ? stored
             : mapped(backend, stored, [&](float value) { return value + norm.offset; });
}

Result<StageWeights> load_stage_vectors(Backend& backend, WeightSource& source,
                                        const Stage& stage) {
  StageWeights weights;
  ROTOR_ASSIGN_OR_RETURN(weights.norm, load_norm(backend, source, stage.norm));
  ROTOR_ASSIGN_OR_RETURN(weights.q_norm, load_norm(backend, source, stage.attention.q_norm));
  ROTOR_ASSIGN_OR_RETURN(weights.k_norm, load_norm(backend, source, stage.attention.k_norm));
  ROTOR_ASSIGN_OR_RETURN(weights.post_norm, load_norm(backend, source, stage.post_norm));
  if (stage.attention.unit_norms) {
    ROTOR_ASSIGN_OR_RETURN(weights.q_norm, ones(backend, stage.attention.head_dim));
    weights.k_norm = weights.q_norm;
  }
  if (const Attention& attention = stage.attention; !attention.sinks.empty()) {
    ROTOR_ASSIGN_OR_RETURN(weights.sinks,
                           load_tensor(backend, source, attention.sinks, 1, attention.heads));
  }
  if (!stage.router.empty()) {
    ROTOR_ASSIGN_OR_RETURN(weights.router.weight,
                           load_tensor(backend, source, stage.router + ".weight",
                                       stage.routing.experts, stage.in_features));
  }
  if (stage.router_bias) {
    ROTOR_ASSIGN_OR_RETURN(weights.router.bias, load_tensor(backend, source, stage.router + ".bias",
                                                            1, stage.routing.experts));
  }
  if (!stage.router_correction.empty()) {
    ROTOR_ASSIGN_OR_RETURN(
        weights.router.correction,
        load_tensor(backend, source, stage.router_correction, 1, stage.routing.experts));
  }
  for (const Linear& gate : stage.gates) {
    ROTOR_ASSIGN_OR_RETURN(Tensor weight, load_tensor(backend, source, gate.name + ".weight",
                                                      gate.out_features, gate.in_features));
    weights.gates.push_back(std::move(weight));
  }
  if (stage.kind == StageKind::kDeltaIn) {
    ROTOR_ASSIGN_OR_RETURN(weights.delta, load_delta(backend, source, stage.delta));
  }
  weights.linears.resize(stage.linears.size());
  for (size_t i = 0; i < stage.linears.size(); ++i) {
    const Linear& linear = stage.linears[i];
    if (linear.has_bias) {
      ROTOR_ASSIGN_OR_RETURN(
          weights.linears[i].bias,
          load_tensor(backend, source, linear.name + ".bias", 1, linear.out_features));
    }
  }
  return weights;
}

Result<LayerWeights> load_layer(Backend& backend, WeightSource& source, const Layer& layer) {
  LayerWeights weights;
  for (const Stage& stage : layer.stages) {
    ROTOR_ASSIGN_OR_RETURN(StageWeights of_stage, load_stage_vectors(backend, source, stage));
    for (size_t i = 0; i < stage.linears.size(); ++i) {
      const Linear& linear = stage.linears[i];
      ROTOR_ASSIGN_OR_RETURN(of_stage.linears[i].weight,
                             load_tensor(backend, source, linear.name + ".weight",
                                         linear.out_features, linear.in_features));
    }
    weights.stages.push_back(std::move(of_stage));
  }
  return weights;
}

Result<EndWeights> load_ends(Backend& backend, WeightSource& source,
                             const Architecture& architecture) {
  const int64_t vocab = architecture.config.vocab_size;
  const int64_t hidden = architecture.config.hidden_size;
  EndWeights ends;
  ROTOR_ASSIGN_OR_RETURN(ends.embedding,
                         load_tensor(backend, source, architecture.embedding, vocab, hidden));
  ROTOR_ASSIGN_OR_RETURN(ends.final_norm, load_norm(backend, source, architecture.final_norm));
  ends.head_norm = ends.final_norm;
  if (const double divisor = architecture.config.logit_divisor; divisor != 1.0) {
    ROTOR_ASSIGN_OR_RETURN(ends.head_norm, mapped(backend, ends.final_norm, [&](float value) {
                             return static_cast<float>(static_cast<double>(value) / divisor);
                           }));
  }
  if (architecture.head_weight == architecture.embedding) {
    ends.head = ends.embedding;
  } else if (!architecture.head_weight.empty()) {
    ROTOR_ASSIGN_OR_RETURN(ends.head,
                           load_tensor(backend, source, architecture.head_weight, vocab, hidden));
  }
  return ends;
}

}  // namespace rotor::worker
