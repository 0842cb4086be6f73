// A quantized checkpoint of one tiny decoder layer with made-up codes, written by the code under
// test: what the tests of verify and inspect, and the independent reader, look at.
#pragma once

#include <string>
#include <vector>

#include "quant/base/status.h"
#include "quant/checkpoint/layout.h"
#include "quant/checkpoint/quantization_info.h"
#include "quant/checkpoint/tensor_spec.h"

namespace rotor::testing {

struct SmallCheckpointOptions {
  Format format = Format::kNvfp4;
  Activations activations = Activations::kA16;
  int rotation = 16;       // of every module but o_proj, which has a bias
  int down_rotation = 16;  // of down_proj
  int64_t max_shard_bytes = 1 << 30;
  Layout layout = Layout::kCompressedTensors;
};

/// FP-Quant: activations a4, and every module rotated in blocks of 32, o_proj too.
SmallCheckpointOptions small_fp_quant(Format format);
/// ModelOpt: NVFP4, nothing rotated.
SmallCheckpointOptions small_modelopt(Activations activations);

/// config.json of the model that it pretends to come from.
extern const char* const kSmallConfig;

/// q, k, v, o, gate, up, down of model.layers.0, in model order; lm_head is ignored.
QuantizationInfo small_info(const SmallCheckpointOptions& options);

/// The source's tensors: the modules' weights in BF16, o_proj's bias, embedding, norm and head.
std::vector<TensorSpec> small_source(const QuantizationInfo& info);

/// Made-up codes and scales that depend on the name alone.
QuantizedMatrix small_matrix(const QuantizedModule& module, const QuantizationInfo& info);

Status write_small_checkpoint(const std::string& directory, const SmallCheckpointOptions& options);

}  // namespace rotor::testing
