// Weights in FP8, with one scale for a block, a row or the whole of a matrix:
//
//   X.weight   F8_E4M3 [N, K]
//   scales     X.weight_scale_inv, as DeepSeek-V3, transformers and Mistral name them, or
//              X.weight_scale, as compressed-tensors and FBGEMM do; F32, BF16, F16 or F8_E8M0;
//              [ceil(N / rows), ceil(K / cols)] for blocks; [N, 1] or [N] for rows; [1] or []
//   w[n, k] = bf16(weight[n, k] * its scale)   the product in F32
//
// which is what transformers 5.24.0 (dequantize=True), compressed-tensors 0.20.0 and DeepSeek-V3's
// own code (inference/kernel.py, weight_dequant) make of them before they compute in BF16. The name
// notwithstanding, the scale is a factor. What stands beside them for activations (X.input_scale,
// X.input_scale_ub, X.activation_scale) is no part of the model.
//
// Thread-safety: pure functions.
#pragma once

#include "model/decoded_tensor.h"
#include "model/stored_form.h"
#include "quant/checkpoint/checkpoint_reader.h"

namespace rotor {

/// Every F8_E4M3 matrix of the checkpoint, as a BF16 one. Errors: INVALID_ARGUMENT, naming file and
/// tensor: reason MISSING_SCALES for weights without scales and scales without weights,
/// BAD_TENSOR_SHAPE for scales that are not as above, BAD_TENSOR_DTYPE for what else is not.
Result<DecodedTensors> fp8_block_tensors(const CheckpointReader& checkpoint,
                                         const SourceQuantization& quantization);

}  // namespace rotor
