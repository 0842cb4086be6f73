#include "worker/bench/random_model.h"

#include <cmath>
#include <vector>

#include "model/model_files.h"
#include "quant/format/bf16.h"
#include "worker/bench/random_values.h"

namespace rotor::worker::bench {
namespace {

bool adds_to_residual(StageKind kind) {
  return kind == StageKind::kAttentionOut || kind == StageKind::kMlpOut ||
         kind == StageKind::kExpertsOut;
}

}  // namespace

std::map<std::string, Filling> random_fillings(const Architecture& architecture, uint64_t seed) {
  std::map<std::string, Filling> result;
  uint64_t part = 0;
  for (const ExpectedTensor& tensor : expected_tensors(architecture)) {
    Filling& filling = result[tensor.name];
    filling.seed = derive_seed(seed, part++);
    if (tensor.shape.size() > 1) {
      filling.deviation = 1.0F / std::sqrt(static_cast<float>(tensor.shape.back()));
    }
  }
  result[architecture.embedding].deviation = 1.0F;
  const auto additions = static_cast<float>(2 * architecture.layers.size());
  for (const Layer& layer : architecture.layers) {
    for (const Stage& stage : layer.stages) {
      if (adds_to_residual(stage.kind)) {
        for (const Linear& linear : stage.linears) {
          result[linear.name + ".weight"].deviation /= std::sqrt(additions);
        }
      }
    }
  }
  return result;
}

Result<Tensor> random_tensor(Backend& backend, Parallel& parallel, DType dtype, int64_t rows,
                             int64_t cols, uint64_t seed, int64_t place, float deviation) {
  ROTOR_ASSIGN_OR_RETURN(Tensor tensor, backend.allocate(dtype, rows, cols));
  std::vector<char> values(tensor.bytes());
  fill_random(dtype, seed, place, tensor.size(), deviation, values.data(), parallel);
  ROTOR_RETURN_IF_ERROR(backend.upload(values.data(), values.size(), tensor));
  return tensor;
}

RandomSource::RandomSource(const Architecture& architecture, uint64_t seed, Parallel& parallel)
    : parallel_(parallel), fillings_(random_fillings(architecture, seed)) {
  for (const ExpectedTensor& tensor : expected_tensors(architecture)) {
    shapes_[tensor.name] = {DType::kBf16, tensor.shape.size() > 1 ? tensor.shape[0] : 1,
                            tensor.shape.back()};
  }
}

Result<WeightSource::Shape> RandomSource::shape(const std::string& name) {
  const auto found = shapes_.find(name);
  if (found == shapes_.end()) {
    return not_found("the model has no tensor " + name);
  }
  return found->second;
}

Result<Tensor> RandomSource::load(Backend& backend, const std::string& name, const Shape& shape) {
  const Filling& filling = fillings_.at(name);
  if (filling.deviation > 0.0F) {
    return random_tensor(backend, parallel_, shape.dtype, shape.rows, shape.cols, filling.seed, 0,
                         filling.deviation);
  }
  ROTOR_ASSIGN_OR_RETURN(Tensor ones, backend.allocate(shape.dtype, shape.rows, shape.cols));
  const std::vector<uint16_t> values(static_cast<size_t>(ones.size()), f32_to_bf16(1.0F));
  ROTOR_RETURN_IF_ERROR(backend.upload(values.data(), ones.bytes(), ones));
  return ones;
}

}  // namespace rotor::worker::bench
