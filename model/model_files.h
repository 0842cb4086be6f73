// A model directory, checked: its config.json describes an architecture, and its checkpoint holds
// every tensor of it with the right shape and a float dtype, or in a stored form that is read as
// one (model/stored_form.h).
//
// Thread-safety: a value; the checkpoint reader's own rules hold for reading tensors.
// Cost: opening reads config.json and the shards' headers, no weights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/architecture.h"
#include "model/source_files.h"
#include "model/source_weights.h"
#include "quant/base/status.h"
#include "quant/checkpoint/checkpoint_reader.h"
#include "quant/io/file.h"

namespace rotor {

/// A tensor that an architecture consists of.
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

/// Every tensor of the model, in model order: embedding, layers, final norm, and the head unless it
/// is tied.
std::vector<ExpectedTensor> expected_tensors(const Architecture& architecture);

struct ModelFiles {
  std::string directory;
  std::string config_text;  // config.json as it stands
  Architecture architecture;
  std::shared_ptr<const CheckpointReader> checkpoint;  // the files as they stand
  std::shared_ptr<const SourceWeights> weights;        // what the model makes of them
  std::vector<std::string> extra_tensors;  // in the weights, not in the architecture; sorted
  /// Stored tensors that are no part of the model, and are not written: scales of quantized inputs
  /// and caches. Sorted.
  std::vector<std::string> left_out;
  SourceFiles other_files;
};

/// Errors: NOT_FOUND (no such directory or no config.json), whatever config.json, the architecture
/// and the checkpoint are refused for, and INVALID_ARGUMENT MISSING_TENSORS, BAD_TENSOR_SHAPE,
/// BAD_TENSOR_DTYPE: each names the tensors, the files and the remedy. What needs weights read is
/// not looked at (model/tied_head.h, quant/checkpoint/finite_tensor.h).
Result<ModelFiles> open_model(FileSystem& fs, const std::string& directory);

}  // namespace rotor
