// A checkpoint directory, original or quantized, as weights that the decoder can run.
//
// Owns: the open shards. Thread-safety: one caller at a time. Fails: as model directories and
// layouts are refused; UNIMPLEMENTED, by name, for a quantized module that is none of the linears
// of a layer. Cost: opening reads headers; a layer costs its own weights, quantized linears in
// F32 or the backend's activation dtype.
#pragma once

#include <memory>
#include <string>

#include "model/architecture.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/checkpoint/layout.h"
#include "quant/checkpoint/tensor_spec.h"
#include "quant/io/file.h"
#include "worker/backend/backend.h"
#include "worker/model/layer_weights.h"

namespace rotor::worker {

class RunnableCheckpoint {
 public:
  static Result<RunnableCheckpoint> open(FileSystem& fs, const std::string& directory);

  const Architecture& architecture() const { return architecture_; }

  Result<EndWeights> ends(Backend& backend) const;

  /// Quantized linears are decoded with the scales as stored, and stay rotated: their input
  /// transform rotates the activations and, with a4, quantizes them.
  Result<LayerWeights> layer(Backend& backend, const Layer& layer) const;

 private:
  RunnableCheckpoint() = default;
  Status open_quantized(FileSystem& fs, const std::string& directory, ModelConfig config,
                        const std::string& config_path);
  Status check_modules() const;
  Result<LinearWeights> quantized_linear(Backend& backend, const Linear& linear) const;

  Architecture architecture_;
  std::shared_ptr<const CheckpointReader> checkpoint_;
  std::shared_ptr<const TensorSource> weights_;  // of what is not quantized
  const CheckpointLayout* layout_ = nullptr;     // null: nothing is quantized
  StoredQuantization quantization_;
  NameSet quantized_;
};

}  // namespace rotor::worker
