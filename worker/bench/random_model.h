// Random weights for a model of any architecture, as a source that load_layer reads and as the
// fillings of a checkpoint's tensors.
//
// The numbers are functions of the seed, the tensor and the place in it: however they are cut,
// and on any number of ranks, they are the same. Thread-safety: as the backend's.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/architecture.h"
#include "quant/base/parallel.h"
#include "worker/backend/backend.h"
#include "worker/model/layer_weights.h"

namespace rotor::worker::bench {

/// What a tensor is filled with.
struct Filling {
  uint64_t seed = 0;
  float deviation = 0.0F;  // 0: all ones
};

/// One for every tensor of the model, by name. Standard deviations keep the size of activations:
/// 1/sqrt(inputs) for a linear, less where its output is added to the residual stream, twice a
/// layer.
std::map<std::string, Filling> random_fillings(const Architecture& architecture, uint64_t seed);

/// [rows, cols] of numbers near normal, on the backend; `seed` as random_values.h says, the first
/// at `place`.
Result<Tensor> random_tensor(Backend& backend, Parallel& parallel, DType dtype, int64_t rows,
                             int64_t cols, uint64_t seed, int64_t place, float deviation);

/// The model's tensors, all BF16.
class RandomSource : public WeightSource {
 public:
  /// `parallel` must outlive it.
  RandomSource(const Architecture& architecture, uint64_t seed, Parallel& parallel);

  Result<Shape> shape(const std::string& name) override;
  Result<Tensor> load(Backend& backend, const std::string& name, const Shape& shape) override;

 private:
  Parallel& parallel_;
  std::map<std::string, Shape> shapes_;
  std::map<std::string, Filling> fillings_;
};

}  // namespace rotor::worker::bench
