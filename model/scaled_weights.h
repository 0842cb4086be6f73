// Weights [N, K] that are stored as codes beside their scales, one by one:
//
//   X.weight            F8_E4M3 [N, K], with one of
//   X.weight_scale      compressed-tensors, AutoFP8, FBGEMM
//   X.weight_scale_inv  DeepSeek-V3, Qwen3, Mistral: a factor, its name notwithstanding
//   X.scale             DeepSeek-V4
//                       BF16, F16, F32, or E8M0 as F8_E8M0 or U8; [], [1] or [1, 1] for the whole
//                       matrix, [N, 1] or [N] for its rows, or [ceil(N / rows), ceil(K / cols)]
//   w[n, k] = weight[n, k] * scale of its block, in F32, then rounded to the model's dtype
//
//
//   X.weight_packed        INT4: I32 [N, K / 8], q + 8 in each nibble, the first in the lowest;
//                          NVFP4 and MXFP4: U8 [N, K / 2], E2M1, the first in the low nibble
//   X.weight_scale         [N, K / group]; INT4: BF16, F16 or F32; NVFP4: F8_E4M3; MXFP4: E8M0
//   X.weight_global_scale  NVFP4: F32, by which the scale is divided
//   X.weight_shape         INT4: I64 or I32 [2], N and K; may be missing
//   w[n, k] as above
//
// which is what the models' own code makes of them (DeepSeek-V3, inference/kernel.py,
// weight_dequant; compressed-tensors, quantization/lifecycle/forward.py). Which shape it is
// config.json says (SourceQuantization); which weights are stored so the tensors tell, and lists of
// modules that are not quantized are not asked.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "model/decoded_tensor.h"
#include "model/stored_form.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {

struct ScaledWeights {
  DecodedTensors tensors;
  /// Scales of quantized inputs, outputs and caches: the model has none, because inputs are taken
  /// as they are. Sorted.
  std::vector<std::string> left_out;
};

/// Every such weight of the checkpoint, in `dtype`: BF16, F16 or F32. Errors: INVALID_ARGUMENT,
/// naming file and tensor: reason MISSING_SCALES for weights without scales and scales without
/// weights, BAD_TENSOR_SHAPE for scales that are not as config.json says, BAD_TENSOR_DTYPE for what
/// is not as above.
Result<ScaledWeights> find_scaled_weights(const CheckpointReader& checkpoint,
                                          const SourceQuantization& quantization, DType dtype);

}  // namespace rotor
